"""`python -m langchain_chatexports.cli`."""

from langchain_chatexports.cli import main

if __name__ == "__main__":
    main()
