// Networks over sockets: -netdev socket, stream and dgram.
#include <charconv>
#include <limits>

#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using devices::SocketAddress;
using Family = SocketAddress::Family;
using Kind = devices::FrameLinkOptions::Kind;

/// The number of a descriptor, which is the machine's from then on.
void read_descriptor(Line& line, Netdev& netdev, std::string_view key, const std::string& text,
                     SocketAddress& address) {
  const auto number = parse_unsigned(text);
  if (!number || *number > 1'000'000)
    return refuse(line, netdev, key_of(netdev.given, key, text),
                  "expected the number of an open descriptor; change it");
  address.family = Family::Descriptor;
  address.fd = static_cast<int>(*number);
}

/// [HOST]:PORT, over IPv4, as "socket" has it.
SocketAddress read_host_and_port(Line& line, Netdev& netdev, std::string_view key, const std::string& text) {
  auto address = devices::parse_host_and_port(text);
  if (!address)
    refuse(line, netdev, key_of(netdev.given, key, text), "expected [HOST]:PORT with a port up to 65535; change it");
  else
    address->ipv6 = false;
  return address.value_or(SocketAddress{});
}

struct SocketKeys {
  std::optional<std::string> fd, listen, connect, group, udp, local;
};

void read_udp(Line& line, Netdev& netdev, const SocketKeys& keys) {
  devices::FrameLinkOptions& link = netdev.link;
  link.kind = Kind::Datagram;
  link.remote = read_host_and_port(line, netdev, keys.udp ? "udp" : "mcast", keys.udp ? *keys.udp : *keys.group);
  if (keys.udp && !keys.local)
    return refuse(line, netdev, netdev.given.text(), "expected localaddr= with udp=, found none; add it");
  if (keys.udp) {
    link.local = read_host_and_port(line, netdev, "localaddr", *keys.local);
  } else if (keys.local) {
    link.local = {.family = Family::Inet, .host = *keys.local, .port = {}, .ipv6 = false, .path = {}};
  }
  if (keys.group && !devices::is_multicast_text(link.remote.host))
    refuse(line, netdev, key_of(netdev.given, "mcast", *keys.group),
           "expected an address from 224.0.0.0 to 239.255.255.255; change it");
}

void read_socket(Line& line, Netdev& netdev, KeyValues& values) {
  devices::FrameLinkOptions& link = netdev.link;
  SocketKeys keys{values.take("fd"),    values.take("listen"), values.take("connect"),
                  values.take("mcast"), values.take("udp"),    values.take("localaddr")};
  if (keys.fd.has_value() + keys.listen.has_value() + keys.connect.has_value() + keys.group.has_value() +
          keys.udp.has_value() !=
      1)
    return refuse(line, netdev, netdev.given.text(),
                  "expected one of listen=, connect=, mcast=, udp= and fd=; give it one");
  if (keys.local && !keys.group && !keys.udp)
    return refuse(line, netdev, key_of(netdev.given, "localaddr", *keys.local),
                  "expected it with mcast= or udp=; leave it out");
  if (keys.listen) {
    link.kind = Kind::Listen;
    link.local = read_host_and_port(line, netdev, "listen", *keys.listen);
  } else if (keys.connect) {
    link.kind = Kind::Connect;
    link.remote = read_host_and_port(line, netdev, "connect", *keys.connect);
  } else if (keys.fd) {
    read_descriptor(line, netdev, "fd", *keys.fd, link.local);
    link.kind = devices::is_datagram_socket(link.local.fd) ? Kind::Datagram : Kind::Connect;
    if (link.kind == Kind::Connect) link.remote = std::exchange(link.local, {});
  } else {
    read_udp(line, netdev, keys);
  }
}

void read_inet(Line& line, Netdev& netdev, KeyValues& values, const std::string& prefix, SocketAddress& address) {
  const auto host = values.take(prefix + "host"), port = values.take(prefix + "port");
  if (!host || !port)
    return refuse(line, netdev, netdev.given.text(),
                  "expected " + prefix + "host= and " + prefix + "port= with type=inet; add them");
  address.host = *host;
  address.port = *port;
  const auto ipv4 = read_bool(line, netdev.given, values, prefix + "ipv4");
  const auto ipv6 = read_bool(line, netdev.given, values, prefix + "ipv6");
  address.ipv4 = ipv4.value_or(!ipv6.value_or(false));
  address.ipv6 = ipv6.value_or(!ipv4.value_or(false));
  if (!address.ipv4 && !address.ipv6)
    refuse(line, netdev, netdev.given.text(), "expected IPv4 or IPv6, found neither; leave one on");
  const std::string keep_alive = prefix + "keep-alive", numeric = prefix + "numeric";
  ignore_keys(line, netdev.given, values, {keep_alive, numeric}, "about how a connection is made and kept");
}

/// An address of QEMU's, under `prefix`: its members' keys are "addr.type", "addr.path"... None if there is no type.
void read_address(Line& line, Netdev& netdev, KeyValues& values, const std::string& prefix, SocketAddress& address) {
  const auto type = values.take(prefix + "type");
  if (!type) return;
  if (*type == "inet") {
    address.family = Family::Inet;
    read_inet(line, netdev, values, prefix, address);
  } else if (*type == "unix") {
    address.family = Family::Unix;
    address.path = values.take(prefix + "path").value_or("");
    if (address.path.empty())
      refuse(line, netdev, netdev.given.text(), "expected " + prefix + "path= with type=unix; add it");
  } else if (*type == "fd") {
    read_descriptor(line, netdev, prefix + "str", values.take(prefix + "str").value_or(""), address);
  } else {
    refuse(line, netdev, key_of(netdev.given, prefix + "type", *type), "expected inet, unix or fd; change it");
  }
}

/// reconnect=SECONDS or reconnect-ms=; nothing for 0.
std::optional<u32> read_reconnect(Line& line, Netdev& netdev, KeyValues& values) {
  std::optional<u32> wait;
  unsigned given = 0;
  for (const auto& [key, unit] : {std::pair<std::string_view, u64>{"reconnect", 1000}, {"reconnect-ms", 1}}) {
    const auto text = values.take(key);
    if (!text) continue;
    const auto number = parse_unsigned(*text);
    if (!number || *number > std::numeric_limits<u32>::max() / unit)
      refuse(line, netdev, key_of(netdev.given, key, *text), "expected a number; change it");
    else if (*number > 0)
      wait = static_cast<u32>(*number * unit);
    ++given;
  }
  if (given > 1) refuse(line, netdev, netdev.given.text(), "expected reconnect= or reconnect-ms=; leave out one");
  if (given && netdev.link.kind == Kind::Listen)
    refuse(line, netdev, netdev.given.text(),
           "expected reconnect= of one that connects, found server=on; leave it out");
  return wait;
}

void read_stream(Line& line, Netdev& netdev, KeyValues& values) {
  devices::FrameLinkOptions& link = netdev.link;
  link.kind = read_bool(line, netdev.given, values, "server").value_or(false) ? Kind::Listen : Kind::Connect;
  SocketAddress& address = link.kind == Kind::Listen ? link.local : link.remote;
  read_address(line, netdev, values, "addr.", address);
  if (address.family == Family::None && !netdev.refused)
    return refuse(line, netdev, netdev.given.text(), "expected addr.type=inet, unix or fd; add it");
  link.reconnect_ms = read_reconnect(line, netdev, values);
}

void read_dgram(Line& line, Netdev& netdev, KeyValues& values) {
  devices::FrameLinkOptions& link = netdev.link;
  link.kind = Kind::Datagram;
  read_address(line, netdev, values, "local.", link.local);
  read_address(line, netdev, values, "remote.", link.remote);
  if (netdev.refused) return;
  const Family local = link.local.family, remote = link.remote.family;
  if (remote == Family::Descriptor)
    return refuse(line, netdev, netdev.given.text(), "expected remote.type=inet or unix; change it");
  if (remote == Family::Inet && local != Family::Unix && devices::is_multicast_text(link.remote.host)) return;
  if (local == Family::Descriptor && remote == Family::None) return;
  if (local != remote || local == Family::None)
    refuse(line, netdev, netdev.given.text(),
           "expected local. and remote. addresses of one type, a multicast group as remote., or local.type=fd alone; "
           "change it");
}

/// A number as QEMU takes it: octal with a 0 in front.
std::optional<u32> parse_mode(std::string_view text) {
  if (text.size() > 1 && text[0] == '0' && text[1] != 'x' && text[1] != 'X') {
    u32 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
    const bool sound = error == std::errc() && end == text.data() + text.size() && value <= 0xffff;
    return sound ? std::optional(value) : std::nullopt;
  }
  const auto number = parse_unsigned(text);
  return number && *number <= 0xffff ? std::optional(static_cast<u32>(*number)) : std::nullopt;
}

void read_vde(Line& line, Netdev& netdev, KeyValues& values) {
  netdev.link.kind = Kind::Vde;
  devices::FrameLinkOptions::Vde& vde = netdev.link.vde;
  vde.place = values.take("sock").value_or("");
  vde.group = values.take("group").value_or("");
  for (const auto& [key, value] : {std::pair{"port", &vde.port}, {"mode", &vde.mode}}) {
    const auto text = values.take(key);
    if (!text) continue;
    if (const auto number = parse_mode(*text))
      *value = *number;
    else
      refuse(line, netdev, key_of(netdev.given, key, *text), "expected a number up to 65535; change it");
  }
}

}  // namespace

bool is_link(std::string_view kind) { return kind == "socket" || kind == "stream" || kind == "dgram" || kind == "vde"; }

void read_link(Line& line, Netdev& netdev, KeyValues& values) {
  netdev.link.option = netdev.given.text();
  if (netdev.kind == "socket") read_socket(line, netdev, values);
  if (netdev.kind == "stream") read_stream(line, netdev, values);
  if (netdev.kind == "dgram") read_dgram(line, netdev, values);
  if (netdev.kind == "vde") read_vde(line, netdev, values);
  if (!netdev.refused) refuse_unknown_keys(line, netdev.given, values);
}

}  // namespace armvisor::qemu
