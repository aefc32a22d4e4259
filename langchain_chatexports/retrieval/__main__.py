"""`python -m langchain_chatexports.retrieval INDEX`: serve an index file over MCP.

Needs only the extra `mcp`, and does not read exports.
"""

import argparse
import os
from pathlib import Path

from langchain_chatexports._terminal import escaped
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.retrieval.index import ChatIndex
from langchain_chatexports.retrieval.mcp_server import chat_mcp_server, silence_sdk


def main() -> None:
    """Serve an index over stdin and stdout until stdin is closed."""
    name = "python -m langchain_chatexports.retrieval"
    parser = argparse.ArgumentParser(name, description="Search chats over MCP (stdio).")
    parser.add_argument("index", type=Path, help="Path to a ChatIndex file.")
    path = parser.parse_args().index
    silence_sdk()
    if not path.is_file():
        parser.error(f"There is no index at {escaped(str(path))}.")
    try:
        with ChatIndex(path) as index:
            chat_mcp_server(index).run()
    except ChatExportError as error:
        parser.exit(1, f"error: {escaped(str(error))}\n")
    except KeyboardInterrupt:
        # An SDK thread is still waiting for stdin.
        os._exit(130)


if __name__ == "__main__":
    main()
