#pragma once
// A kernel out of Debian's armhf packages, in the user's cache, for systems that have none: apt's own programs fetch it
// with a configuration of their own and check the archive's signature and every digest; nothing of the host's apt is
// changed, and nothing runs as root.
//
// It has the form of a system: boot/vmlinuz-VERSION and lib/modules/VERSION, of which only the modules are kept that
// exec may load. It takes the place of the one that was fetched before, at once and whole.
#include <optional>
#include <string>

#include "base/result.h"
#include "exec/folder.h"

namespace armvisor::exec {

struct FetchOptions {
  std::string release = "bookworm", flavour = "armmp";
  std::string mirror{};   ///< empty: what the host's apt uses, or deb.debian.org
  std::string keyring{};  ///< empty: Debian's
};

/// The version that was fetched. Says on standard error what it does.
Result<std::string> fetch_kernel(const FetchOptions& options);

/// The newest that was fetched; nothing: none was.
std::optional<Folder> fetched_kernel();
/// What makes one be there.
inline constexpr const char* k_fetch_command = "armvisor fetch kernel";

}  // namespace armvisor::exec
