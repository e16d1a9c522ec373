"""The routes: what is asked, what is answered, and the OpenAPI document of both."""
