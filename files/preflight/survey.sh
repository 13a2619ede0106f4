#!/bin/sh
# What preflight's checks (kubeinfra/checks/) must know of a machine. It changes nothing: no module is loaded, and the
# file that etcd's disk is measured with is removed. Each line of its answer begins with "survey ", so that what a login
# shell or another program prints does not matter. kubeinfra/machine/survey.py reads it.
# Input: $etcd is "yes" on a machine that is to be an etcd member; $reach: "address:port" of others that it must reach.
LC_ALL=C
export LC_ALL
say() { printf 'survey %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }

nearest() { # the path, or the first directory above it that is there
    near=$1
    while [ ! -e "$near" ]; do near=${near%/*}; near=${near:-/}; done
    echo "$near"
}

size() {
    kernel=$(uname -r)
    say kernel "$kernel"
    say cpus "$(grep -c ^processor /proc/cpuinfo)"
    say memory "$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)"
    for path in /opt /var/lib/etcd /var/lib/docker /var/lib/containerd /var/lib/kubelet; do
        say disk "$path $(df -Pk "$(nearest "$path")" | awk 'NR == 2 {print $4}')"
    done
}

has_module() { # of the kernel that runs, built in or to be loaded
    grep -qs "/$1\.ko" "/lib/modules/$kernel/modules.dep" "/lib/modules/$kernel/modules.builtin"
}

modules() { # what kube-proxy's modes and the pods' network need
    if [ -e /proc/net/ip_vs ] || has_module ip_vs; then say ip-vs yes; else say ip-vs no; fi
    ! has_module nf_conntrack_ipv4 || say conntrack-ipv4 yes
    if [ -e /proc/sys/net/bridge ] || has_module br_netfilter; then say br-netfilter yes
    elif [ -e "/lib/modules/$kernel/modules.dep" ]; then say br-netfilter no; fi
    ! has nft || say nft-version "$(nft --version)"
}

identity() {
    [ ! -s /etc/machine-id ] || say machine-id "$(cat /etc/machine-id)"
    [ ! -r /sys/class/dmi/id/product_uuid ] || say product-uuid "$(cat /sys/class/dmi/id/product_uuid)"
    for key in /etc/ssh/ssh_host_*_key.pub; do
        [ ! -r "$key" ] || say host-key "$(awk '{print $1, $2}' "$key" | sha256sum | cut -c 1-64)"
    done
}

network() {
    for link in /sys/class/net/*; do
        # A pod's end of a veth may go away meanwhile; bonding_masters is no interface.
        mtu=$(cat "$link/mtu" 2>/dev/null) && [ "$mtu" ] || continue
        say link "${link##*/} $mtu $(cat "$link/address" 2>/dev/null)"
    done
    if routes=$(ip -4 -o route show 2>/dev/null); then
        printf '%s\n' "$routes" | head -n 500 | while read -r route; do say route "$route"; done
    else
        say unasked routes
    fi
    for file in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
        [ ! -r "$file" ] || awk '$1 == "nameserver" {print "survey nameserver " $2}' "$file"
    done
    for file in /etc/chrony.conf /etc/chrony/chrony.conf /etc/chrony/sources.d/*.sources /etc/ntp.conf \
        /etc/ntpsec/ntp.conf /etc/systemd/timesyncd.conf; do
        [ ! -r "$file" ] || awk '$1 ~ /^(server|pool|peer)$/ {print "survey time-server " $2}
            /^(NTP|FallbackNTP)=/ {sub(/^[^=]*=/, ""); print "survey time-server " $0}' "$file"
    done
    { # Only hosts: a URL may have a password in it, with any character in that.
        env
        cat /etc/environment /etc/apt/apt.conf /etc/apt/apt.conf.d/* /etc/yum.conf /etc/dnf/dnf.conf 2>/dev/null
    } | grep -i 'proxy' | sed -n -e 's,^[^#]*://,,p' -e t -e "s,^[^#]*\(https*\|all\)_proxy=[\"']*,,Ip" | sed 's/.*@//' |
        grep -o '^[A-Za-z0-9.:-]*' | sort -u | while read -r proxy; do say proxy "$proxy"; done
    pid=$$ # sudo takes SSH_CONNECTION out of its own environment, not out of that of the processes above it
    while [ "${pid:-0}" -gt 1 ]; do
        from=$({ tr '\0' '\n' <"/proc/$pid/environ"; } 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
        [ -z "$from" ] || { say ssh "$from"; break; }
        pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
    done
}

processes() {
    for place in /opt/etcd/bin /opt/kubernetes/bin; do # as /proc/PID/exe names it, if /opt is a link
        [ ! -d "$place" ] || say binaries "$(readlink -f "$place")"
    done
    listening=
    if has ss; then listening=$(ss -lntup | tail -n +2); else say unasked ports; fi
    echo "$listening" | awk 'NF {users = NF > 6 ? $7 : "-"; print "survey listen " $1 " " $5 " " users}'
    known='kubelet|kube-proxy|kube-apiserver|kube-controller|kube-scheduler|etcd|k3s|k3s-server|k3s-agent|rke2|kubelite'
    {
        echo "$listening" | grep -o 'pid=[0-9]*' | cut -d = -f 2
        grep -lxE "$known" /proc/[0-9]*/comm 2>/dev/null | cut -d / -f 3
    } | sort -un | while read -r pid; do
        [ -r "/proc/$pid/comm" ] || continue
        cgroup=$(awk -F : '$1 == 0 || $2 == "name=systemd" {print $3; exit}' "/proc/$pid/cgroup")
        say process "$pid|$(readlink "/proc/$pid/exe")|$cgroup|$(cat "/proc/$pid/comm")"
    done
}

releases() { # of the process, which may be older than the file if a run was cut off; else of the file
    for name in kube-apiserver kubelet; do
        [ -e "/etc/systemd/system/$name.service" ] || continue
        pid=$(systemctl show "$name.service" -p MainPID 2>/dev/null | tr -dc 0-9)
        for program in "/proc/${pid:-0}/exe" "/opt/kubernetes/bin/$name"; do
            if release=$("$program" --version 2>/dev/null); then
                say release "$name $release"
                break
            fi
        done
    done
}

left_behind() {
    places='/etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system'
    [ -L /lib ] || places="$places /lib/systemd/system"
    for unit in etcd kubelet kube-proxy kube-apiserver kube-controller-manager kube-scheduler containerd; do
        for place in $places; do
            for file in "$place/$unit.service.d"/*.conf; do
                [ ! -r "$file" ] || say drop-in "$file $(sed -n 's/^\([A-Za-z]*\)=.*/\1/p' "$file" | sort -u | tr '\n' ' ')"
            done
        done
    done
    for file in /etc/cni/net.d/*.conf /etc/cni/net.d/*.conflist /etc/cni/net.d/*.json; do
        [ ! -e "$file" ] || say cni "${file##*/}"
    done
    client=/opt/kubernetes/ssl/kubelet-client-current.pem # its certificate only: the key is in the same file
    [ ! -r "$client" ] || say kubelet-certificate "$(sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' "$client" | base64 -w 0)"
    for path in /etc/kubernetes/pki /etc/kubernetes/manifests /etc/kubernetes/*.conf /var/lib/kubelet/pki \
        /var/lib/rancher/k3s /var/lib/rancher/rke2 /etc/rancher /var/lib/k0s /etc/calico /var/lib/calico /var/lib/weave; do
        [ -z "$(ls -A "$path" 2>/dev/null)" ] || say left-file "$path"
    done
    awk '{
        split("/var/lib/kubelet /run/k3s /var/lib/rancher /run/cilium /run/calico", places, " ")
        # below them: one on such a place itself is a disk of its own, which may well be
        for (at in places) if (index($2, places[at] "/") == 1) count[places[at]]++
    } END { for (place in count) print "survey mounts " place " " count[place] }' /proc/mounts
    for data in /var/lib/etcd /var/lib/etcd/*; do
        [ -d "$data/member" ] || continue
        first='' last="$data/member"
        for wal in "$data"/member/wal/*.wal; do
            [ -r "$wal" ] || continue
            first=${first:-$wal} last=$wal
        done
        written=$(stat -c %Y "$last" 2>/dev/null) || continue # a log that etcd has removed meanwhile
        say etcd-data "$data $(($(date +%s) - written)) $([ -z "$first" ] || head -c 256 "$first" | base64 -w 0)"
    done
}

firewall() {
    for unit in firewalld ufw; do
        systemctl --quiet is-active "$unit" 2>/dev/null || continue
        # Its unit is active too where ufw itself is not enabled, as on every new Ubuntu: it has no rules then.
        [ "$unit" != ufw ] || grep -qsi '^ENABLED=yes' /etc/ufw/ufw.conf || continue
        say firewall "$unit"
    done
    shown= # whether iptables lists the table "ip filter" of nft
    for save in iptables-save iptables-legacy-save iptables-nft-save; do
        has "$save" || continue
        # Without -t: with it, iptables-legacy would load the table's module. Of flannel's the place among others matters.
        rules=$("$save" 2>/dev/null | awk -v from="$save" '/^\*/ {on = $0 == "*filter"}
            on && /^(:|-A )/ && (!/KUBE-|DOCKER|FLANNEL|cali-/ || /^-A FORWARD .*FLANNEL-FWD/) {print "survey " from " " $0}
            match($0, /^:(KUBE-ROUTER|KUBE-NWPLCY|KUBE-|cali-|CILIUM_|WEAVE|FLANNEL|ANTREA)/) {
                count[substr($0, 2, RLENGTH - 1)]++
            }
            END {for (chain in count) print "survey chains " chain " " count[chain]}')
        [ -z "$rules" ] || printf '%s\n' "$rules"
        case "$("$save" -V 2>/dev/null) $rules" in *nf_tables*"$save :INPUT "*) shown=yes ;; esac
    done
    # nft would load the module. One that is built in and has no parameter is not below /sys/module.
    if has nft && { [ -d /sys/module/nf_tables ] || grep -q ' nf_tables_newtable' /proc/kallsyms; }; then nft_tables; fi
}

nft_tables() { # those that see what comes in or is passed on; what iptables has made is left to it: on a node it can be megabytes
    chains=$(nft list chains 2>/dev/null) || { say unasked nft-tables; return; }
    echo "$chains" | awk '$1 == "table" {table = $2 " " $3} / hook (input|forward) / && !told[table]++ {print table}' |
        while read -r family table; do
            case "$family $table" in
                "ip nat" | "ip mangle" | "ip raw" | "ip security" | "ip kube-proxy") continue ;;
                "ip filter") [ -z "$shown" ] || continue ;;
                "ip "* | "inet "*) ;;
                *) continue ;;
            esac
            rules=$(nft -j list table "$family" "$table" 2>/dev/null) || { say unasked "nft-table $family $table"; continue; }
            say nft "$(printf '%s' "$rules" | base64 -w 0)"
        done
}

reach() { # which of those answer to a connection
    if ! has bash || ! has timeout; then say unasked reach; return; fi
    say reach asked
    for target in $1; do
        # shellcheck disable=SC2016  # for bash
        { ! timeout 2 bash -c ': </dev/tcp/${0%:*}/${0#*:}' "$target" 2>/dev/null || say reached "$target"; } &
    done
    wait
}

latency() { # of 100 writes as etcd makes them (https://etcd.io/docs/v3.5/faq/), where its data will be
    file=$(mktemp "$(nearest /var/lib/etcd)/.kubeinfra-latency.XXXXXX") || return
    trap 'rm -f "$file"' EXIT
    trap 'exit 1' HUP INT TERM
    ends=$(($(date +%s) + 4)) write=0
    said=$(while [ "$write" -lt 100 ] && [ "$(date +%s)" -lt "$ends" ]; do
        dd if=/dev/zero of="$file" bs=2300 count=1 seek="$write" conv=notrunc oflag=dsync 2>&1
        write=$((write + 1))
    done)
    say fsync "$(echo "$said" | sed -n 's/.*copied, \([0-9.e+-]*\) s.*/\1/p' | tr '\n' ' ')"
}

echo
if [ "${reach:-}" ]; then reach "$reach" & fi
size
modules
identity
network
processes
releases
left_behind
firewall
wait
# A member that serves is left alone: its own metrics know better (etcd_disk_wal_fsync_duration_seconds).
if [ "${etcd:-}" = yes ] && [ ! -d /var/lib/etcd/default.etcd/member ]; then (latency); fi
