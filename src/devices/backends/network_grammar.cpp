// The grammar of --net: KIND[=VALUE][,KEY[=VALUE]]...
#include <fmt/core.h>

#include <charconv>

#include "base/user_directory.h"
#include "devices/backends/network_options.h"

namespace armvisor::devices {
namespace {

using Kind = FrameLinkOptions::Kind;
using Family = SocketAddress::Family;

constexpr u32 k_most_seconds = 3600;

Error bad(std::string message) { return {ErrorKind::BadArguments, std::move(message)}; }

Error wrong(std::string_view key, std::string_view expected, std::string_view found) {
  return bad(fmt::format("network option {}: expected {}, found '{}'", key, expected, found));
}

/// KEY or KEY=VALUE.
struct Word {
  std::string_view key, value;

  std::string text() const { return std::string(value); }
  /// A flag has no value, and all else has one.
  Status check(bool flag) const {
    if (flag == value.empty()) return {};
    return wrong(key, flag ? "no value" : "a value", value);
  }
};

/// Takes the first word out of `text`.
Word take_word(std::string_view& text) {
  const std::size_t comma = std::min(text.find(','), text.size());
  const std::string_view word = text.substr(0, comma);
  text.remove_prefix(std::min(comma + 1, text.size()));
  const std::size_t equals = std::min(word.find('='), word.size());
  return {word.substr(0, equals), word.substr(std::min(equals + 1, word.size()))};
}

Result<u32> parse_number(const Word& word, u32 least, u32 most) {
  u32 number = 0;
  const char* const end = word.value.data() + word.value.size();
  const auto [at, error] = std::from_chars(word.value.data(), end, number);
  if (error != std::errc{} || at != end || number < least || number > most)
    return wrong(word.key, fmt::format("a number from {} to {}", least, most), word.value);
  return number;
}

Result<bool> parse_on_or_off(const Word& word) {
  if (word.value == "on" || word.value == "yes") return true;
  if (word.value == "off" || word.value == "no") return false;
  return wrong(word.key, "on or off", word.value);
}

/// unix:PATH, fd:N or `inet`:HOST:PORT.
Result<SocketAddress> parse_place(const Word& word, std::string_view inet) {
  const std::size_t colon = std::min(word.value.find(':'), word.value.size());
  const std::string_view kind = word.value.substr(0, colon);
  const std::string_view rest = word.value.substr(std::min(colon + 1, word.value.size()));
  SocketAddress address;
  if (kind == "unix" && !rest.empty()) {
    address.family = Family::Unix;
    address.path = rest;
    return address;
  }
  if (kind == "fd") {
    AV_TRY_ASSIGN(const u32 fd, parse_number({word.key, rest}, 0, 1'000'000));
    address.family = Family::Descriptor;
    address.fd = static_cast<int>(fd);
    return address;
  }
  auto found = kind == inet ? parse_host_and_port(rest) : std::nullopt;
  if (!found) return wrong(word.key, fmt::format("{}:HOST:PORT, unix:PATH or fd:N", inet), word.value);
  return *std::move(found);
}

// --- kinds of networks: each takes the value behind its name, then its keys

Status begin_user(NetworkOptions&, const Word& word) { return word.check(true); }

/// Behind net=, as that changes them.
u32* user_address(UserNetworkOptions& user, std::string_view key) {
  return key == "host"        ? &user.host
         : key == "dns"       ? &user.name_server
         : key == "dhcpstart" ? &user.first_lease
                              : nullptr;
}

std::string* user_text(UserNetworkOptions& user, std::string_view key) {
  for (const auto& [name, text] : {std::pair<std::string_view, std::string*>{"hostname", &user.host_name},
                                   {"domainname", &user.domain},
                                   {"tftp", &user.tftp_folder},
                                   {"tftp-server-name", &user.tftp_server},
                                   {"bootfile", &user.boot_file}})
    if (key == name) return text;
  return nullptr;
}

/// Whether something was said of the network, or of its addresses alone.
bool is_said4(const UserNetworkOptions& user, bool addresses) {
  const UserNetworkOptions usual;
  return user.host != usual.host || user.name_server != usual.name_server || user.first_lease != usual.first_lease ||
         (!addresses && (user.network != usual.network || user.netmask != usual.netmask));
}
bool is_said6(const UserNetworkOptions& user, bool addresses) {
  const UserNetworkOptions usual;
  return user.host6 != usual.host6 || user.name_server6 != usual.name_server6 ||
         (!addresses && (user.network6 != usual.network6 || user.network6_bits != usual.network6_bits));
}

Result<bool> user_key(NetworkOptions& o, const Word& word) {
  UserNetworkOptions& user = o.network;
  if (word.key == "hostfwd") {
    AV_TRY_ASSIGN(const HostForward forward, parse_host_forward(word.value));
    user.forwards.push_back(forward);
  } else if (word.key == "guestfwd") {
    AV_TRY_ASSIGN(GuestForward forward, parse_guest_forward(word.value));
    user.guest_forwards.push_back(std::move(forward));
  } else if (word.key == "net") {
    if (is_said4(user, true)) return wrong(word.key, "it before the addresses that it would change", word.value);
    if (!set_network(user, word.value)) return wrong(word.key, "ADDRESS/BITS, as 192.168.5.0/24", word.value);
  } else if (u32* const address = user_address(user, word.key)) {
    if (!set_address(user, word.value, *address))
      return wrong(word.key, "an address in the guest's network", word.value);
  } else if (std::string* const text = user_text(user, word.key)) {
    AV_TRY(word.check(false));
    *text = word.value;
  } else if (word.key == "dnssearch") {
    AV_TRY(word.check(false));
    user.search_domains.push_back(word.text());
  } else if (word.key == "ipv6-net") {
    if (is_said6(user, true)) return wrong(word.key, "it before the addresses that it would change", word.value);
    if (!set_network6(user, word.value)) return wrong(word.key, "PREFIX/BITS, as fec0::/64", word.value);
  } else if (word.key == "ipv6-host") {
    if (!set_host6(user, word.value)) return wrong(word.key, "an IPv6 address in the guest's network", word.value);
  } else if (word.key == "ipv6-dns") {
    const auto server = parse_ipv6(word.value);
    if (!server) return wrong(word.key, "an IPv6 address", word.value);
    user.name_server6 = *server;
  } else if (word.key == "ipv4") {
    AV_TRY_ASSIGN(user.ipv4, parse_on_or_off(word));
  } else if (word.key == "ipv6") {
    AV_TRY_ASSIGN(user.ipv6, parse_on_or_off(word));
  } else if (word.key == "restrict") {
    AV_TRY_ASSIGN(user.restricted, parse_on_or_off(word));
  } else if (word.key == "flows") {
    AV_TRY_ASSIGN(user.flows, parse_number(word, 1, UserNetworkOptions::k_max_flows));
  } else {
    return false;
  }
  return true;
}

Status check_user(const NetworkOptions& o) {
  const UserNetworkOptions& user = o.network;
  if (!user.ipv4 && !user.ipv6)
    return bad("network options ipv4=off and ipv6=off: expected one of the two on; leave one out");
  if (!user.ipv4 && is_said4(user, false))
    return bad("network option ipv4=off: expected no addresses of IPv4, found some; leave them out");
  if (!user.ipv6 && is_said6(user, false))
    return bad("network option ipv6=off: expected no addresses of IPv6, found some; leave them out");
  return {};
}

Status begin_tap(NetworkOptions& o, const Word& word) {
  o.tap.emplace().interface = word.value;
  return {};
}

Result<bool> tap_key(NetworkOptions& o, const Word& word) {
  if (word.key == "script") {
    o.tap->up_script = word.value;
  } else if (word.key == "downscript") {
    o.tap->down_script = word.value;
  } else if (word.key == "fd" && o.tap->interface.empty()) {
    AV_TRY_ASSIGN(const u32 fd, parse_number(word, 0, 1'000'000));
    o.tap->fd = static_cast<int>(fd);
  } else {
    return false;
  }
  AV_TRY(word.check(false));
  return true;
}

Status begin_bridge(NetworkOptions& o, const Word& word) {
  o.tap.emplace().bridge = word.value.empty() ? TapOptions::k_usual_bridge : word.value;
  o.tap->helper = TapOptions::k_usual_helper;
  return {};
}

Result<bool> bridge_key(NetworkOptions& o, const Word& word) {
  if (word.key != "helper") return false;
  AV_TRY(word.check(false));
  o.tap->helper = word.value;
  return true;
}

FrameLinkOptions& make_link(NetworkOptions& o, const Word& word, Kind kind) {
  FrameLinkOptions& link = o.link.emplace();
  link.option = fmt::format("--net {}={}", word.key, word.value);
  link.kind = kind;
  return link;
}

Status begin_stream(NetworkOptions& o, const Word& word) {
  AV_TRY_ASSIGN(make_link(o, word, Kind::Connect).remote, parse_place(word, "tcp"));
  return {};
}

Result<bool> stream_key(NetworkOptions& o, const Word& word) {
  FrameLinkOptions& link = *o.link;
  if (word.key == "server") {
    AV_TRY(word.check(true));
    if (link.kind == Kind::Connect) link.local = std::exchange(link.remote, {});
    link.kind = Kind::Listen;
  } else if (word.key == "reconnect") {
    AV_TRY_ASSIGN(const u32 seconds, parse_number(word, 1, k_most_seconds));
    link.reconnect_ms = seconds * 1000;
  } else {
    return false;
  }
  if (link.kind == Kind::Listen && link.reconnect_ms)
    return bad("network option reconnect: expected it of one that connects, found server; leave out one");
  return true;
}

Status begin_dgram(NetworkOptions& o, const Word& word) {
  AV_TRY_ASSIGN(SocketAddress place, parse_place(word, "udp"));
  FrameLinkOptions& link = make_link(o, word, Kind::Datagram);
  (place.family == Family::Descriptor ? link.local : link.remote) = std::move(place);
  return {};
}

Result<bool> dgram_key(NetworkOptions& o, const Word& word) {
  FrameLinkOptions& link = *o.link;
  if (link.remote.family == Family::None) return false;  // a descriptor says all
  if (word.key == "local") {
    AV_TRY_ASSIGN(link.local, parse_place(word, "udp"));
  } else if (word.key == "interface") {
    AV_TRY(word.check(false));
    link.local = {.family = Family::Inet, .host = word.text(), .port = {}, .ipv6 = false, .path = {}};
  } else {
    return false;
  }
  return true;
}

Status check_dgram(const NetworkOptions& o) {
  const FrameLinkOptions& link = *o.link;
  const Family local = link.local.family, remote = link.remote.family;
  if (remote == Family::None) return {};
  if (remote == Family::Inet && is_multicast_text(link.remote.host) && local != Family::Unix) return {};
  if (local == Family::Descriptor || (local == remote && !link.local.port.empty() == (local == Family::Inet)))
    return {};
  return bad(link.option + ": expected local= with an address of the same kind, or a multicast group; add it");
}

Status begin_switch(NetworkOptions& o, const Word& word) {
  AV_TRY(check_plain_name("network option switch", word.value));
  make_link(o, word, Kind::Switch).switch_name = word.value;
  return {};
}

Result<bool> switch_key(NetworkOptions& o, const Word& word) {
  if (word.key != "user") return false;
  AV_TRY(word.check(true));
  o.link->switch_nat = true;
  return true;
}

Status check_nothing(const NetworkOptions&) { return {}; }

struct NetworkKind {
  std::string_view name, form;
  Status (*begin)(NetworkOptions&, const Word&);
  Result<bool> (*key)(NetworkOptions&, const Word&);  ///< false: it is none of this kind's
  Status (*check)(const NetworkOptions&);
};
constexpr NetworkKind k_kinds[] = {
    {"user",
     "user[,hostfwd=tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT]...[,guestfwd=tcp:ADDRESS:PORT-cmd:COMMAND]..."
     "[,net=ADDRESS/BITS][,host=...][,dns=...][,dhcpstart=...][,hostname=...][,domainname=...][,dnssearch=...]..."
     "[,tftp=FOLDER][,tftp-server-name=...][,bootfile=...][,ipv4=on|off][,ipv6=on|off][,ipv6-net=PREFIX/BITS]"
     "[,ipv6-host=...][,ipv6-dns=...][,restrict=on|off][,flows=N]",
     begin_user, user_key, check_user},
    {"tap", "tap[=NAME][,script=FILE][,downscript=FILE] or tap,fd=N", begin_tap, tap_key, check_nothing},
    {"bridge", "bridge[=NAME][,helper=PROGRAM]", begin_bridge, bridge_key, check_nothing},
    {"stream", "stream=tcp:HOST:PORT|unix:PATH|fd:N[,server][,reconnect=SECONDS]", begin_stream, stream_key,
     check_nothing},
    {"dgram", "dgram=udp:HOST:PORT|unix:PATH,local=... or dgram=udp:GROUP:PORT[,interface=ADDRESS] or dgram=fd:N",
     begin_dgram, dgram_key, check_dgram},
    {"switch", "switch=NAME[,user]", begin_switch, switch_key, check_nothing},
};

/// A key that all networks have. False: it is none.
Result<bool> common_key(NetworkOptions& o, const Word& word) {
  if (word.key == "mac") {
    AV_TRY_ASSIGN(o.network.mac, parse_mac(word.value));
  } else if (word.key == "pcap") {
    if (word.value.empty()) return wrong(word.key, "a file", {});
    o.dumps.push_back({.option = "--net pcap=" + word.text(), .path = word.text()});
  } else {
    return false;
  }
  return true;
}

const NetworkKind* find_kind(std::string_view name) {
  for (const NetworkKind& kind : k_kinds)
    if (kind.name == name) return &kind;
  return nullptr;
}

}  // namespace

Result<NetworkOptions> parse_network_option(std::string_view option) {
  std::string_view rest = option;
  const Word first = take_word(rest);
  const NetworkKind* const kind = find_kind(first.key);
  if (!kind) {
    std::string names;
    for (const NetworkKind& k : k_kinds) names += (names.empty() ? "" : ", ") + std::string(k.name);
    return bad(fmt::format("network '{}': expected one of {}", first.key, names));
  }
  NetworkOptions o;
  AV_TRY(kind->begin(o, first));
  while (!rest.empty()) {
    const Word word = take_word(rest);
    AV_TRY_ASSIGN(bool known, common_key(o, word));
    if (!known) {
      AV_TRY_ASSIGN(known, kind->key(o, word));
    }
    if (!known)
      return bad(fmt::format("network option '{}' is unknown: expected {}, each with [,mac=MAC][,pcap=FILE]", word.key,
                             kind->form));
  }
  AV_TRY(kind->check(o));
  settle_forwards(o.network);
  return o;
}

}  // namespace armvisor::devices
