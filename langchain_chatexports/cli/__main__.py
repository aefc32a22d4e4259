"""`python -m langchain_chatexports.cli`."""

from langchain_chatexports.cli import main

main()
