"""What the operators' scripts share. A site is where the product runs: cluster.Cluster (kubectl and
helm) or local.Local (./todo stack). A script asks the site and never knows which it is."""
