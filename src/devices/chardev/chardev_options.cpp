#include "devices/chardev/chardev_options.h"

#include <charconv>
#include <vector>

namespace armvisor::devices {
namespace {

Error bad(const std::string& option, const std::string& expected, std::string_view found) {
  return {ErrorKind::BadArguments,
          option + ": expected " + expected + ", found '" + std::string(found) + "'; change it"};
}

/// "WORD,WORD..." behind the first.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Status set_socket_word(const std::string& option, std::string_view word, SocketOptions& socket) {
  constexpr std::string_view k_reconnect = "reconnect=";
  if (word == "server") {
    socket.server = true;
  } else if (word == "nowait") {
    socket.wait = false;
  } else if (word.starts_with(k_reconnect)) {
    u64 seconds = 0;
    word.remove_prefix(k_reconnect.size());
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), seconds);
    if (error != std::errc() || end != word.data() + word.size() || seconds < 1 || seconds > 3600)
      return bad(option, "reconnect= with seconds, 1 to 3600", word);
    socket.reconnect_ms = seconds * 1000;
  } else {
    return bad(option, "server, nowait or reconnect=SECONDS behind a socket", word);
  }
  return {};
}

Result<ChardevOptions> parse_socket(ChardevOptions o, std::string_view kind, std::string_view text) {
  const auto words = split(text);
  SocketOptions& socket = o.socket;
  o.kind = ChardevOptions::Kind::Socket;
  if (kind == "unix") {
    socket.at.family = SocketAddress::Family::Unix;
    socket.at.path = words[0];
    if (words[0].empty()) return bad(o.option, "unix:PATH", text);
  } else {
    auto at = split_host_and_port(words[0]);
    if (!at || at->port.empty()) return bad(o.option, "HOST:PORT", words[0]);
    socket.at = *std::move(at);
    socket.telnet = kind == "telnet";
  }
  for (std::size_t i = 1; i < words.size(); ++i) AV_TRY(set_socket_word(o.option, words[i], socket));
  if (socket.server && socket.reconnect_ms) return bad(o.option, "reconnect= of a client, not of a server", text);
  return o;
}

}  // namespace

std::string SocketOptions::text() const {
  using Family = SocketAddress::Family;
  const std::string end = server ? ",server=on" : "";
  if (at.family == Family::Descriptor) return "fd:" + std::to_string(at.fd) + end;
  return (at.family == Family::Unix ? "unix:" : telnet ? "telnet:" : "tcp:") + at.text() + end;
}

Result<ChardevOptions> ChardevOptions::parse(const std::string& option, std::string_view text) {
  ChardevOptions o;
  o.option = option;
  o.label = option;
  for (const auto& [word, kind] : {std::pair{"stdio", Kind::Stdio}, {"pty", Kind::Pty}, {"none", Kind::None}})
    if (text == word) {
      o.kind = kind;
      return o;
    }
  for (const auto& [word, kind] : {std::pair{"file=", Kind::File}, {"pipe=", Kind::Pipe}})
    if (text.starts_with(word) && text.size() > 5) {
      o.kind = kind;
      o.path = text.substr(5);
      return o;
    }
  for (const std::string_view kind : {"unix", "tcp", "telnet"})
    if (text.starts_with(std::string(kind) + ":"))
      return parse_socket(std::move(o), kind, text.substr(kind.size() + 1));
  return Error{ErrorKind::BadArguments,
               option +
                   ": expected stdio, pty, file=FILE, pipe=PATH, unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT or "
                   "none, found '" +
                   std::string(text) + "'; give one of these"};
}

}  // namespace armvisor::devices
