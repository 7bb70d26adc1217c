"""The site: the pages of docs/, every model with its source and its explorer, and the API, as static HTML."""
