// Options that name networks and cards.
#include "devices/backends/network_options.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

void check_kind(Line& line, Netdev& netdev) {
  if (netdev.kind == "user" || netdev.kind == "tap" || netdev.kind == "bridge" || is_link(netdev.kind)) return;
  const std::string where = key_of(netdev.given, netdev.kind, {});
  constexpr std::pair<std::string_view, std::string_view> k_others[] = {
      {"l2tpv3", "there is no L2TPv3 here; ip l2tp joins a tunnel to a tap interface by a bridge"},
      {"vhost-user", "frames are not handed over in shared memory; passt and others also take stream"},
      {"vhost-vdpa", "no device of the host is given to the guest"},
      {"hubport", "cards are not connected to each other; dgram with a multicast address connects machines"},
      {"passt", "passt is not started here; start it and use stream with its socket"},
      {"af-xdp", "there is no AF_XDP here; use a tap interface"}};
  for (const auto& [other, why] : k_others)
    if (netdev.kind == other)
      return refuse(line, netdev, where,
                    "expected user, tap, bridge, socket, stream, dgram or vde: " + std::string(why) + "; change it");
  refuse(line, netdev, where,
         "expected user, tap, bridge, socket, stream, dgram or vde, found no network of QEMU's; change it");
}

void read_forward(Line& line, Netdev& netdev, const std::string& text) {
  auto forward = devices::parse_host_forward(text);
  if (forward) return netdev.user.forwards.push_back(*forward);
  refuse(line, netdev, key_of(netdev.given, "hostfwd", text),
         "expected [tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT with ports from 1 to 65535; change it");
}

/// What is there is a program, or a character device as of -serial.
void read_guest_forward(Line& line, Netdev& netdev, const std::string& text) {
  const std::string where = key_of(netdev.given, "guestfwd", text);
  std::string_view end = text;
  auto forward = devices::take_guest_address(end);
  if (!forward || end.empty())
    return refuse(line, netdev, where,
                  "expected [tcp]:[ADDRESS]:PORT-cmd:COMMAND or [tcp]:[ADDRESS]:PORT-DEVICE with a device as of "
                  "-serial; change it");
  if (end.starts_with("mon:"))
    return refuse(line, netdev, where, "expected no monitor where the guest can connect; leave out mon:");
  if (end.starts_with("cmd:")) {
    forward->command = end.substr(4);
    if (forward->command.empty()) return refuse(line, netdev, where, "expected a command, found nothing; name it");
  } else {
    netdev.ends.push_back(read_place(line, {netdev.given.name, "guestfwd=" + text}, end));
    netdev.refused |= netdev.ends.back().refused;
  }
  netdev.user.guest_forwards.push_back(*std::move(forward));
}

void read_subnet(Line& line, Netdev& netdev, const std::string& text) {
  if (!devices::set_network(netdev.user, text))
    refuse(line, netdev, key_of(netdev.given, "net", text), "expected ADDRESS/BITS, as 192.168.5.0/24; change it");
}

void read_address(Line& line, Netdev& netdev, KeyValues& values, std::string_view key, u32& address) {
  const auto text = values.take(key);
  if (text && !devices::set_address(netdev.user, *text, address))
    refuse(line, netdev, key_of(netdev.given, key, *text), "expected an address in the guest's network; change it");
}

void read_forwards(Line& line, Netdev& netdev, KeyValues& values) {
  for (const std::string& text : values.take_all("hostfwd")) read_forward(line, netdev, text);
  devices::settle_forwards(netdev.user);
  for (const std::string& text : values.take_all("guestfwd")) read_guest_forward(line, netdev, text);
}

/// One of ipv4= and ipv6= alone that is on turns the other off, as in QEMU.
void read_versions(Line& line, Netdev& netdev, KeyValues& values) {
  const auto ipv4 = read_bool(line, netdev.given, values, "ipv4"), ipv6 = read_bool(line, netdev.given, values, "ipv6");
  netdev.user.ipv4 = ipv4.value_or(!ipv6.value_or(false));
  netdev.user.ipv6 = ipv6.value_or(!ipv4.value_or(false));
  if (!netdev.user.ipv4 && !netdev.user.ipv6)
    refuse(line, netdev, netdev.given.text(), "expected IPv4 or IPv6, found neither; leave one on");
  const auto refuse_keys = [&](std::initializer_list<std::string_view> keys, std::string_view version) {
    for (const std::string_view key : keys)
      if (values.find(key))
        refuse(line, netdev, key_of(netdev.given, key, *values.find(key)),
               "expected none without " + std::string(version) + "; leave it out or turn that on");
  };
  if (!netdev.user.ipv4) refuse_keys({"net", "host", "dns"}, "IPv4");
  if (!netdev.user.ipv6) refuse_keys({"ipv6-net", "ipv6-prefix", "ipv6-host", "ipv6-dns"}, "IPv6");
}

/// ipv6-net=PREFIX/BITS, or its parts.
void read_subnet6(Line& line, Netdev& netdev, KeyValues& values) {
  const auto net = values.take("ipv6-net"), prefix = values.take("ipv6-prefix"), bits = values.take("ipv6-prefixlen");
  if (!net && !prefix && !bits) return;
  std::string text = net ? *net : prefix.value_or("fec0::") + '/' + bits.value_or("64");
  if (text.ends_with("/0")) text.replace(text.size() - 1, 1, "64");  // as in QEMU
  if (!devices::set_network6(netdev.user, text))
    refuse(line, netdev,
           key_of(netdev.given,
                  net      ? "ipv6-net"
                  : prefix ? "ipv6-prefix"
                           : "ipv6-prefixlen",
                  text),
           "expected PREFIX/BITS, as fec0::/64, with 0 to 126 bits; change it");
}

/// The name server may be anywhere unless nothing outside is reached, as in QEMU.
void read_addresses6(Line& line, Netdev& netdev, KeyValues& values) {
  if (const auto host = values.take("ipv6-host"); host && !devices::set_host6(netdev.user, *host))
    refuse(line, netdev, key_of(netdev.given, "ipv6-host", *host),
           "expected an IPv6 address in the guest's network; change it");
  const auto server = values.take("ipv6-dns");
  if (!server) return;
  const auto address = devices::parse_ipv6(*server);
  if (address && (!netdev.user.restricted || devices::in_network6(netdev.user, *address)))
    netdev.user.name_server6 = *address;
  else
    refuse(line, netdev, key_of(netdev.given, "ipv6-dns", *server),
           address ? "expected an IPv6 address in the guest's network, with restrict=on; change it"
                   : "expected an IPv6 address; change it");
}

void refuse_shares(Line& line, Netdev& netdev, KeyValues& values) {
  for (const std::string_view key : {"smb", "smbserver"})
    if (const auto value = values.take(key))
      refuse(line, netdev, key_of(netdev.given, key, *value),
             "expected no Windows share: the host's Samba is not started; share files in another way");
}

void read_user(Line& line, Netdev& netdev, KeyValues& values) {
  devices::UserNetworkOptions& user = netdev.user;
  read_versions(line, netdev, values);
  if (const auto on = read_bool(line, netdev.given, values, "restrict")) user.restricted = *on;
  if (const auto net = values.take("net")) read_subnet(line, netdev, *net);
  read_address(line, netdev, values, "host", user.host);
  read_address(line, netdev, values, "dns", user.name_server);
  read_address(line, netdev, values, "dhcpstart", user.first_lease);
  read_subnet6(line, netdev, values);
  read_addresses6(line, netdev, values);
  user.host_name = values.take("hostname").value_or("");
  user.domain = values.take("domainname").value_or("");
  user.search_domains = values.take_all("dnssearch");
  user.tftp_folder = values.take("tftp").value_or("");
  user.boot_file = values.take("bootfile").value_or("");
  user.tftp_server = values.take("tftp-server-name").value_or("");
  read_forwards(line, netdev, values);
  refuse_shares(line, netdev, values);
  refuse_unknown_keys(line, netdev.given, values);
}

/// QEMU runs these scripts unless it is told otherwise.
constexpr const char *k_up_script = "/etc/qemu-ifup", *k_down_script = "/etc/qemu-ifdown";

std::string script(KeyValues& values, std::string_view key, const char* usual) {
  const std::string text = values.take(key).value_or(usual);
  return text == "no" ? "" : text;
}

/// What says that the interface is there already goes with nothing that says which one to open.
void check_tap_keys(Line& line, Netdev& netdev, const KeyValues& values) {
  using Keys = std::initializer_list<std::string_view>;
  const Keys of_name = {"ifname", "script", "downscript", "vnet_hdr", "queues", "vhostfds"};
  const auto check = [&](std::string_view key, Keys others) {
    if (!values.find(key)) return;
    for (const std::string_view other : others)
      if (values.find(other))
        refuse(line, netdev, key_of(netdev.given, other, *values.find(other)),
               "expected none with " + std::string(key) + "=; leave out one");
  };
  check("fd", of_name);
  check("fds", {"ifname", "script", "downscript", "vnet_hdr", "queues", "fd", "helper", "vhostfd"});
  check("fd", {"helper"});
  check("helper", of_name);
}

void read_tap(Line& line, Netdev& netdev, KeyValues& values) {
  check_tap_keys(line, netdev, values);
  const auto fds = values.take("fds"), helper = values.take("helper");
  const auto fd = fds ? fds : values.take("fd");
  const bool is_open = fd || helper;
  netdev.tap.interface = values.take("ifname").value_or("");
  netdev.tap.up_script = script(values, "script", is_open ? "" : k_up_script);
  netdev.tap.down_script = script(values, "downscript", is_open ? "" : k_down_script);
  netdev.tap.helper = helper.value_or("");
  netdev.tap.bridge = values.take("br").value_or(devices::TapOptions::k_usual_bridge);
  if (helper && helper->empty())
    refuse(line, netdev, key_of(netdev.given, "helper", {}), "expected a program, found nothing; name one");
  if (fd) {
    const auto number = parse_unsigned(*fd);
    const std::string where = key_of(netdev.given, fds ? "fds" : "fd", *fd);
    if (fds && fd->find(':') != std::string::npos)
      refuse(line, netdev, where,
             "expected one descriptor, as there is one queue here, and what the kernel puts into the others would be "
             "lost; name one, of an interface without multi_queue");
    else if (!number || *number > 1'000'000)
      refuse(line, netdev, where, "expected the number of an open descriptor; change it");
    else
      netdev.tap.fd = static_cast<int>(*number);
  }
  ignore_keys(line, netdev.given, values,
              {"vhost", "vhostforce", "vhostfd", "vhostfds", "sndbuf", "vnet_hdr", "queues", "poll-us"},
              "about how fast frames go");
  refuse_unknown_keys(line, netdev.given, values);
}

void read_bridge(Line& line, Netdev& netdev, KeyValues& values) {
  netdev.tap.bridge = values.take("br").value_or(devices::TapOptions::k_usual_bridge);
  netdev.tap.helper = values.take("helper").value_or(devices::TapOptions::k_usual_helper);
  if (netdev.tap.helper.empty())
    refuse(line, netdev, key_of(netdev.given, "helper", {}), "expected a program, found nothing; name one");
  refuse_unknown_keys(line, netdev.given, values);
}

/// The network that -netdev, -nic and -net name; `values` without what is the card's.
Netdev read_network(Line& line, const Given& given, KeyValues& values) {
  Netdev netdev;
  netdev.given = given;
  netdev.kind = values.take("type").value_or("");
  netdev.refused = !read_id(line, given, values, "id", IdKind::Network, given.name == "netdev", netdev.id);
  netdev.name = netdev.id;
  if (!netdev.refused) check_kind(line, netdev);
  if (!netdev.refused && netdev.kind == "user") read_user(line, netdev, values);
  if (!netdev.refused && netdev.kind == "tap") read_tap(line, netdev, values);
  if (!netdev.refused && netdev.kind == "bridge") read_bridge(line, netdev, values);
  if (!netdev.refused && is_link(netdev.kind)) read_link(line, netdev, values);
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
  if (model && is_help(*model)) line.help = "device";
  if (model && (*model == "e1000" || *model == "e1000-82540em"))
    nic.card = machine::NetworkSpec::Card::E1000;
  else if (model && !is_virtio_card(*model))
    line.outcomes.refused(
        key_of(given, "model", *model),
        "expected virtio or e1000: there is no other card here; change it if the guest has a driver for one");
  for (const std::string_view key : {"mac", "macaddr"})
    if (const auto mac = read_mac(line, given, values, key)) nic.mac = mac;
  ignore_keys(line, given, values, {"addr", "vectors", "name"}, "about a card on PCI");
  return nic;
}

}  // namespace

void read_netdev(Line& line, const Given& given) {
  auto values = read_list(line, given, "type");
  if (!values) return;
  line.network_named = true;
  if (values->find("help")) line.help = "netdev";
  if (const std::string* type = values->find("type"); type && is_help(*type)) {
    line.help = "netdev";
    return;
  }
  Netdev netdev = read_network(line, given, *values);
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
