"""The HTTP interface, a folder for each feature: operations beside their endpoints, schemas that build the answers."""
