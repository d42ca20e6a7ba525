"""The typed models of the resources; CRDs, JSON schemas and the reference pages are generated from them."""

GROUP = "hybridjob.dev"
VERSION = "v1alpha1"
