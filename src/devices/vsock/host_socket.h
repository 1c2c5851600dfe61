#pragma once
// Where virtio sockets are on the host, as Firecracker and Cloud Hypervisor have them: a Unix socket at a path, to
// which programs connect that want to connect to the guest, and for each port that the guest connects to another one,
// at the path with "_PORT" behind it, on which some program listens.
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices::vsock {

struct Options {
  u64 cid = 3;  ///< of the guest, 3 to 2^32 - 2
  std::string path{};
};

/// Of "--vsock": cid=N,path=SOCKET. Without a cid it is 3.
Result<Options> parse_option(std::string_view text);
Status check_cid(u64 cid);
/// One that has room for "_PORT" behind it.
Status check_path(std::string_view path);

/// What a machine's second process does for a HostSocket of that path (base/sandbox/errands.h): connects to a port's.
std::string errand_name(const std::string& path);
Fd connect_to_port(const std::string& path, u32 port);

class HostSocket {
 public:
  /// Listens. A socket that has the name already, which a process left that ended, is replaced.
  static Result<std::shared_ptr<HostSocket>> create(Options options);
  /// Takes the socket's name away.
  ~HostSocket();

  u64 cid() const { return options_.cid; }
  int listening() const { return listening_.get(); }
  /// A connection to who listens for the guest's at `port`. Does not wait; none: nobody does, or it has no time.
  Fd connect(u32 port) const;

 private:
  HostSocket(Options options, Fd listening) : options_(std::move(options)), listening_(std::move(listening)) {}
  const Options options_;
  const Fd listening_;
};

}  // namespace armvisor::devices::vsock
