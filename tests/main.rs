mod node_containers;
