//! `k8s/` and the Dockerfile: they render and validate, they say what they have to, and the server
//! starts as they say, with its probes asked as a kubelet asks them.
//!
//! No cluster and no container engine is needed: a pod is the built binary in a root folder of its
//! own, as the user of the Deployment, with the rendered environment and arguments.

mod image;
mod kubelet;
mod manifests;
mod pod;
mod rendered;
