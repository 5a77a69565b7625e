"""The HTTP API: a thin layer over aiohttp that makes routes, checks and OpenAPI from one declaration each."""
