"""A service with the Mixpeek interface comes in, page by page; interaction records go out."""
