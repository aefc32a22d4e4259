"""The page in the browser, which `chatexports open` serves; needs the extra `page`."""
