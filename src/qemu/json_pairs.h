#pragma once
// JSON on a command line of QEMU's, as the pairs that a list of KEY=VALUE would be.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace armvisor::qemu {

/// The members of the one object that `text` is, in their order; those of members within have keys with dots. Strings
/// may be in single quotes, as QEMU takes them; a key that is there twice is an error, as it is there.
Result<std::vector<std::pair<std::string, std::string>>> json_pairs(std::string_view text);

}  // namespace armvisor::qemu
