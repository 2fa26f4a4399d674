"""The examples, every switch of them."""
