"""What came of each search, as numbers of which means are taken by retriever or by period."""
