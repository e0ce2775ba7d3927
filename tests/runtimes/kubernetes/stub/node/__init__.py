"""The cluster's one node: runs the containers of its pods as processes in namespaces of their own."""
