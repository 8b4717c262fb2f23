#!/bin/sh
# In the container redis-cluster of docker-compose.yml: makes a Redis Cluster
# of redis-1 to redis-6, if they are none yet, and stays. With "check": are
# they one?
set -eu

is_one() {
    redis-cli -h redis-1 cluster info | grep -q cluster_state:ok
}

if [ "${1-}" = check ]; then
    is_one
    exit
fi

# Nodes know each other by address: a name is looked up once.
if ! redis-cli -h redis-1 cluster info | grep -q cluster_slots_assigned:16384
then
    nodes=
    for i in 1 2 3 4 5 6; do
        address=$(getent hosts "redis-$i" | cut -d ' ' -f 1)
        nodes="$nodes $address:6379"
    done
    # shellcheck disable=SC2086 # One word a node.
    redis-cli --cluster create $nodes --cluster-replicas 1 --cluster-yes
fi
exec sleep infinity
