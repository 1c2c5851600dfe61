#pragma once
// Files that are compressed in one piece: modules and kernels, as distributions have them.
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::exec {

/// What is packed as its first bytes say: gzip, xz or zstd; else `bytes` as they are. An error if it is more than
/// `most` bytes, or broken. What follows the packed part is ignored. `name` is for messages.
Result<std::vector<u8>> unpack(const std::string& name, std::vector<u8> bytes, u64 most);

}  // namespace armvisor::exec
