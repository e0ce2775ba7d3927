"""Kind ``kubernetes`` on a real cluster: the one that KUBECONFIG names, with the image that
AIRLOCK_TEST_IMAGE names. See docs/run-on-kubernetes.md."""
