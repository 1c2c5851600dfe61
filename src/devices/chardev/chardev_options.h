#pragma once
// Where a character device goes on the host, as options say it.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"
#include "devices/backends/socket_address.h"

namespace armvisor::devices {

class Chardev;

/// What of a console's input is for the program and not for the guest.
struct ConsoleKeys {
  enum class When { Terminal, Always, Never };
  When when = When::Terminal;  ///< the escape is seen on a terminal only, on pipes and files too, or nowhere
  u8 escape = 0x01;            ///< Ctrl-A; what follows it says what it means
  bool signals = false;        ///< Ctrl-C and the like, typed on a terminal, end or stop the program
};

/// A stream socket.
struct SocketOptions {
  SocketAddress at;
  bool server = false;
  bool wait = true;                 ///< of a server: the machine starts when a client is there
  bool telnet = false;              ///< the telnet protocol (RFC 854) is spoken
  std::optional<u64> reconnect_ms;  ///< of a client: it connects in the background, and again after so long
  /// As QEMU writes it: "unix:PATH" or "tcp:HOST:PORT", with ",server=on".
  std::string text() const;
};

struct ChardevOptions {
  enum class Kind { Stdio, Pty, File, Pipe, Socket, Udp, None, Own };
  Kind kind = Kind::Stdio;
  std::string path;                                  ///< of File; of Pipe: PATH.in and PATH.out, or PATH alone
  std::string input;                                 ///< of File: where input comes from; empty: there is none
  bool append = false;                               ///< File is not emptied
  SocketOptions socket{};                            ///< of Udp: where datagrams go
  SocketAddress local{};                             ///< of Udp: where they come to
  std::function<std::unique_ptr<Chardev>()> make{};  ///< of Own: what the program itself has at the other end
  std::string log_file{};                            ///< a copy of the output goes there
  bool log_append = false;
  ConsoleKeys keys{};
  bool mux = false;                  ///< it may have several users
  std::string option = "--console";  ///< for messages
  std::string label{};               ///< its id, or what QEMU calls it
  bool as_qemu = false;              ///< messages have QEMU's words

  /// "stdio", "pty", "none", "file=FILE", "pipe=PATH", "unix:PATH[,OPTION...]", "tcp:HOST:PORT[,...]" or
  /// "telnet:HOST:PORT[,...]". `option` is for messages.
  static Result<ChardevOptions> parse(const std::string& option, std::string_view text);
};

}  // namespace armvisor::devices
