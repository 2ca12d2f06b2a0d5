"""The small models that the tests of Tamis read, by the framework that they come from."""
