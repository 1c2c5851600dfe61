// Options that name networks and cards.
#include "devices/backends/network_options.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

void refuse(Line& line, Netdev& netdev, const std::string& where, const std::string& why) {
  line.outcomes.refused(where, why);
  netdev.refused = true;
}

void check_kind(Line& line, Netdev& netdev) {
  if (netdev.kind == "user") return;
  const std::string where = key_of(netdev.given, netdev.kind, {});
  for (const std::string_view other : {"tap", "bridge", "socket", "stream", "dgram", "vde", "l2tpv3", "vhost-user",
                                       "vhost-vdpa", "hubport", "passt", "af-xdp"})
    if (netdev.kind == other)
      return refuse(line, netdev, where, "expected user, the one network here; change it if the guest needs no more");
  refuse(line, netdev, where, "expected user, the one network here, found no network of QEMU's; change it");
}

void read_forward(Line& line, Netdev& netdev, const std::string& text) {
  auto forward = devices::parse_host_forward(text);
  if (forward) return netdev.user.forwards.push_back(*forward);
  refuse(line, netdev, key_of(netdev.given, "hostfwd", text),
         "expected [tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT with ports from 1 to 65535; change it");
}

/// What the user network here does as QEMU's does when nothing else is said.
struct FixedKey {
  std::string_view key, value;
};
constexpr FixedKey k_fixed[] = {{"net", "10.0.2.0/24"},     {"host", "10.0.2.2"}, {"dns", "10.0.2.3"},
                                {"dhcpstart", "10.0.2.15"}, {"ipv4", "on"},       {"ipv6", "off"}};

void read_user(Line& line, Netdev& netdev, KeyValues& values) {
  for (const std::string& text : values.take_all("hostfwd")) read_forward(line, netdev, text);
  if (const auto on = read_bool(line, netdev.given, values, "restrict")) netdev.user.restricted = *on;
  for (const FixedKey& fixed : k_fixed)
    if (const auto value = values.take(fixed.key); value && *value != fixed.value)
      refuse(line, netdev, key_of(netdev.given, fixed.key, *value),
             "expected " + std::string(fixed.value) + ", as it is here always; leave it out");
  refuse_unknown_keys(line, netdev.given, values);
}

/// The network that -netdev, -nic and -net name; `values` without what is the card's.
Netdev read_network(Line& line, const Given& given, KeyValues& values) {
  Netdev netdev;
  netdev.given = given;
  netdev.kind = values.take("type").value_or("");
  netdev.id = values.take("id").value_or("");
  check_kind(line, netdev);
  if (!netdev.refused) read_user(line, netdev, values);
  return netdev;
}

bool is_virtio_card(std::string_view model) {
  for (const std::string_view name : {"virtio", "virtio-net-pci", "virtio-net-device", "virtio-net",
                                      "virtio-net-pci-non-transitional", "virtio-net-pci-transitional"})
    if (model == name) return true;
  return false;
}

Nic read_card(Line& line, const Given& given, KeyValues& values) {
  Nic nic;
  nic.given = given;
  const auto model = values.take("model");
  if (model && (*model == "help" || *model == "?")) line.help = "device";
  if (model && !is_virtio_card(*model))
    line.outcomes.refused(
        key_of(given, "model", *model),
        "expected virtio: there is no other card here; change it if the guest has a driver for virtio");
  for (const std::string_view key : {"mac", "macaddr"}) {
    const auto text = values.take(key);
    if (!text) continue;
    auto mac = devices::parse_mac(*text);
    if (mac)
      nic.mac = *mac;
    else
      line.outcomes.refused(key_of(given, key, *text),
                            "expected the address of one card, as 52:54:00:12:34:56; change it");
  }
  ignore_keys(line, given, values, {"addr", "vectors", "name"}, "about a card on PCI");
  return nic;
}

}  // namespace

void read_netdev(Line& line, const Given& given) {
  auto values = read_list(line, given, "type");
  if (!values) return;
  line.network_named = true;
  if (values->find("help")) line.help = "netdev";
  if (const std::string* type = values->find("type"); type && (*type == "help" || *type == "?")) {
    line.help = "netdev";
    return;
  }
  Netdev netdev = read_network(line, given, *values);
  if (!netdev.refused && (netdev.id.empty() || line.netdev(netdev.id)))
    refuse(line, netdev, given.text(), "expected id=ID of its own; give it one");
  line.netdevs.push_back(std::move(netdev));
}

void read_nic(Line& line, const Given& given) {
  auto values = read_list(line, given, "type");
  if (!values) return;
  line.network_named = true;
  const std::string* const type = values->find("type");
  if (type && *type == "none") {
    line.outcomes.mapped(given.text(), "no network beside those that are named");
    return;
  }
  Nic nic = read_card(line, given, *values);
  Netdev netdev = read_network(line, given, *values);
  netdev.id = "#nic" + std::to_string(line.nics.size());
  nic.netdev = netdev.id;
  line.netdevs.push_back(std::move(netdev));
  line.nics.push_back(std::move(nic));
}

void read_net(Line& line, const Given& given) {
  auto values = read_list(line, given, "type");
  if (!values) return;
  line.network_named = true;
  const std::string type = values->find("type") ? *values->find("type") : "";
  if (type == "none") {
    line.outcomes.mapped(given.text(), "no network beside those that are named");
  } else if (type == "nic") {
    values->take("type");
    Nic nic = read_card(line, given, *values);
    nic.netdev = values->take("netdev").value_or("");
    refuse_unknown_keys(line, given, *values);
    line.nics.push_back(std::move(nic));
  } else {
    if (line.hub) line.outcomes.refused(given.text(), "expected one network by -net, found a second; use -netdev");
    line.hub = read_network(line, given, *values);
  }
}

}  // namespace armvisor::qemu
