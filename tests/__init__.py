"""The tests, as one package: a folder tests/gradcheck on the import path would hide the gradcheck that is tested."""
