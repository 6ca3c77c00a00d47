"""The HTTP interface, a folder for each feature: operations beside their endpoints, and schemas that build their answers."""
