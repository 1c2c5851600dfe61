// Options that say where a character device goes on the host: -chardev, and the places of -serial and -monitor.
#include <limits>

#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using Kind = devices::ChardevOptions::Kind;

/// TLS, web sockets and 3270 terminals.
void refuse_layers(Line& line, Chardev& c, KeyValues& values) {
  for (const std::string_view key : {"websocket", "tn3270"})
    if (const auto on = read_bool(line, c.given, values, key); on && *on)
      refuse(line, c, key_of(c.given, key, "on"), "expected a plain socket or telnet; leave it out");
  for (const std::string_view key : {"tls-creds", "tls-authz", "to"})
    if (const auto value = values.take(key))
      refuse(line, c, key_of(c.given, key, *value), "expected a plain socket at one address; leave it out");
}

/// reconnect=SECONDS or reconnect-ms=: nothing for 0, as in QEMU.
std::optional<u64> read_reconnect(Line& line, Chardev& c, KeyValues& values) {
  std::optional<u64> wait;
  for (const auto& [key, unit] : {std::pair<std::string_view, u64>{"reconnect", 1000}, {"reconnect-ms", 1}}) {
    const auto text = values.take(key);
    if (!text) continue;
    const auto number = parse_unsigned(*text);
    if (!number || *number > std::numeric_limits<u32>::max())
      refuse(line, c, key_of(c.given, key, *text), "expected a number; change it");
    else if (*number > 0)
      wait = *number * unit;
  }
  return wait;
}

/// ipv4= and ipv6=, of which one that is on turns the other off.
void read_versions(Line& line, Chardev& c, KeyValues& values, devices::SocketAddress& at) {
  for (const auto& [key, allowed] : {std::pair{"ipv4", &at.ipv4}, {"ipv6", &at.ipv6}})
    if (const auto on = read_bool(line, c.given, values, key)) {
      bool& other = allowed == &at.ipv4 ? at.ipv6 : at.ipv4;
      *allowed = *on;
      if (*on && !values.find(allowed == &at.ipv4 ? "ipv6" : "ipv4")) other = false;
    }
}

void read_socket_address(Line& line, Chardev& c, KeyValues& values) {
  devices::SocketAddress& at = c.where.socket.at;
  using Family = devices::SocketAddress::Family;
  at.path = values.take("path").value_or("");
  at.host = values.take("host").value_or("");
  at.port = values.take("port").value_or("");
  int places = 0;
  const auto place = [&](bool given, Family family) {
    if (!given) return;
    ++places;
    at.family = family;
  };
  place(!at.path.empty(), Family::Unix);
  place(!at.port.empty(), Family::Inet);
  if (const auto fd = values.take("fd")) {
    const auto number = parse_unsigned(*fd);
    place(true, Family::Descriptor);
    if (number && *number < 65536)
      at.fd = static_cast<int>(*number);
    else
      refuse(line, c, key_of(c.given, "fd", *fd), "expected the number of a descriptor that is open; change it");
  }
  for (const std::string_view key : {"abstract", "tight"})
    if (const auto on = read_bool(line, c.given, values, key); on && *on && key == "abstract")
      refuse(line, c, key_of(c.given, key, "on"), "expected a socket with a file's name; leave it out");
  if (places != 1) refuse(line, c, c.given.text(), "expected one of path=, port= and fd=; give it one");
  read_versions(line, c, values, at);
}

void read_socket(Line& line, Chardev& c, KeyValues& values) {
  devices::SocketOptions& socket = c.where.socket;
  c.where.kind = Kind::Socket;
  refuse_layers(line, c, values);
  read_socket_address(line, c, values);
  socket.server = read_bool(line, c.given, values, "server").value_or(false);
  socket.wait = read_bool(line, c.given, values, "wait").value_or(true);
  if (const auto telnet = read_bool(line, c.given, values, "telnet")) socket.telnet = *telnet;
  socket.reconnect_ms = read_reconnect(line, c, values);
  if (socket.reconnect_ms && socket.at.family == devices::SocketAddress::Family::Descriptor)
    refuse(line, c, c.given.text(), "expected reconnect= for an address, found fd=; leave out one");
  if (socket.server && socket.reconnect_ms)
    refuse(line, c, c.given.text(), "expected reconnect= for a client, found a server; leave out one");
  values.take("delay");  // characters always go at once
  values.take("nodelay");
}

/// One end of datagrams: an address over IP whose host and port may be left out.
devices::SocketAddress datagram_end(const std::string& host, const std::string& port) {
  devices::SocketAddress at;
  at.family = devices::SocketAddress::Family::Inet;
  at.host = host;
  at.port = port;
  return at;
}

void read_datagrams(Line& line, Chardev& c, KeyValues& values) {
  c.where.kind = Kind::Udp;
  const std::string port = values.take("port").value_or("");
  if (port.empty()) refuse(line, c, c.given.text(), "expected port=, where datagrams go; name it");
  c.where.socket.at = datagram_end(values.take("host").value_or(""), port);
  c.where.local = datagram_end(values.take("localaddr").value_or(""), values.take("localport").value_or("0"));
  read_versions(line, c, values, c.where.socket.at);
}

/// The keys that all kinds have.
void read_common(Line& line, Chardev& c, KeyValues& values) {
  if (const auto mux = read_bool(line, c.given, values, "mux")) c.where.mux = *mux;
  c.where.log_file = values.take("logfile").value_or("");
  c.where.log_append = read_bool(line, c.given, values, "logappend").value_or(false);
}

void read_file(Line& line, Chardev& c, KeyValues& values) {
  c.where.kind = Kind::File;
  c.where.path = values.take("path").value_or("");
  c.where.input = values.take("input-path").value_or("");
  c.where.append = read_bool(line, c.given, values, "append").value_or(false);
  if (c.where.path.empty()) refuse(line, c, c.given.text(), "expected path=FILE; name it");
}

void read_kind(Line& line, Chardev& c, const std::string& kind, KeyValues& values) {
  read_common(line, c, values);
  if (kind == "stdio") {
    c.where.kind = Kind::Stdio;
    c.where.keys.signals = read_bool(line, c.given, values, "signal").value_or(true);
  } else if (kind == "pty") {
    c.where.kind = Kind::Pty;
  } else if (kind == "null" || kind == "vc" || kind == "ringbuf" || kind == "memory") {
    c.where.kind = Kind::None;
    for (const std::string_view key : {"width", "height", "cols", "rows", "size"}) values.take(key);
  } else if (kind == "file") {
    read_file(line, c, values);
  } else if (kind == "pipe") {
    c.where.kind = Kind::Pipe;
    c.where.path = values.take("path").value_or("");
    if (c.where.path.empty()) refuse(line, c, c.given.text(), "expected path=PATH; name it");
  } else if (kind == "socket") {
    read_socket(line, c, values);
  } else if (kind == "udp") {
    read_datagrams(line, c, values);
  } else {
    refuse(
        line, c, key_of(c.given, kind, {}),
        "expected stdio, a file, a pipe, a socket, udp, a pseudo-terminal (pty) or null: QEMU's other places are not "
        "here; change it");
  }
}

/// The list behind "tcp:", "unix:", ... with the key that its first word stands for.
void read_place_list(Line& line, Chardev& c, const std::string& kind, std::string_view text, std::string_view first) {
  auto values = KeyValues::parse(text, first);
  if (!values) return refuse(line, c, c.given.text(), values.error().message);
  if (const auto address = values->take("address")) {
    const auto at = devices::split_host_and_port(*address);
    if (!at) return refuse(line, c, c.given.text(), "expected HOST:PORT, found '" + *address + "'; change it");
    values->add("host", at->host);
    values->add("port", at->port);
  }
  read_kind(line, c, kind, *values);
  if (!c.refused) refuse_unknown_keys(line, c.given, *values);
}

/// [HOST]:PORT[@[ADDRESS]:PORT]
void read_datagram_places(Line& line, Chardev& c, std::string_view text) {
  const std::size_t at = std::min(text.find('@'), text.size());
  KeyValues values;
  const auto add = [&](std::string_view end, const char* host, const char* port) {
    const auto place = devices::split_host_and_port(end);
    if (!place)
      return refuse(line, c, c.given.text(),
                    "expected [HOST]:PORT[@[ADDRESS]:PORT], found '" + std::string(text) + "'; change it");
    values.add(host, place->host);
    values.add(port, place->port);
  };
  add(text.substr(0, at), "host", "port");
  if (at < text.size()) add(text.substr(at + 1), "localaddr", "localport");
  if (!c.refused) read_kind(line, c, "udp", values);
}

}  // namespace

Chardev new_chardev(const Given& given) {
  Chardev c;
  c.given = given;
  c.where.option = given.text();
  c.where.as_qemu = true;
  return c;
}

Chardev read_place(Line& line, const Given& given, std::string_view text) {
  Chardev c = new_chardev(given);
  if (text.starts_with("chardev:")) {
    c.refers = text.substr(8);
    return c;
  }
  c.where.mux = text.starts_with("mon:");
  if (c.where.mux) text.remove_prefix(4);
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, text.find_first_of(":,"));
  const std::string_view rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (kind == "none") {
    c.where.kind = Kind::None;
  } else if (kind == "stdio" || kind == "pty" || kind == "null" || kind == "vc") {
    const std::size_t comma = kind == "vc" ? text.npos : text.find(',');
    read_place_list(line, c, std::string(kind), comma == text.npos ? std::string_view() : text.substr(comma + 1), {});
    if (kind == "stdio" && c.where.mux) c.where.keys.signals = false;
  } else if (kind == "file" || kind == "pipe") {
    read_place_list(line, c, std::string(kind), rest, "path");
  } else if (kind == "unix") {
    read_place_list(line, c, "socket", rest, "path");
  } else if (kind == "tcp" || kind == "telnet") {
    c.where.socket.telnet = kind == "telnet";
    read_place_list(line, c, "socket", rest, "address");
  } else if (kind == "udp") {
    read_datagram_places(line, c, rest);
  } else {
    refuse(line, c, given.text(),
           "expected stdio, pty, null, none, file:, pipe:, unix:, tcp:, udp:, telnet: or chardev:; QEMU's other places "
           "are not here; change it");
  }
  return c;
}

void read_chardev(Line& line, const Given& given) {
  auto values = read_list(line, given, "backend");
  if (!values) return;
  Chardev c = new_chardev(given);
  const std::string kind = values->take("backend").value_or("");
  if (is_help(kind)) {
    line.help = "chardev";
    return;
  }
  c.refused = !read_id(line, given, *values, "id", IdKind::Chardev, true, c.id);
  c.where.label = c.id;
  if (!c.refused) read_kind(line, c, kind, *values);
  if (!c.refused) refuse_unknown_keys(line, given, *values);
  line.chardevs.push_back(std::move(c));
}

}  // namespace armvisor::qemu
