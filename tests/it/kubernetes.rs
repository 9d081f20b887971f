//! `k8s/` and the Dockerfile: manifests render, validate and keep their laws, and the server starts with
//! them under a kubelet's probes.
//!
//! No cluster and no container engine is needed: a pod is the built binary in a root folder of its own, as the
//! Deployment's user, with the rendered environment and arguments.

mod image;
mod kubelet;
mod manifests;
mod pod;
mod rendered;
