"""The HTTP side of the server: routes, request types, errors and access control."""
