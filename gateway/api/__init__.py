"""The HTTP interface, a folder for each feature: operations beside their endpoints, schemas, serializers."""
