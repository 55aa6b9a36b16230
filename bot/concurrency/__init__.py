"""Parts for asyncio that many folders share."""
