#pragma once
// What the devices may do to be quick.
#include <string>
#include <string_view>

#include "base/result.h"

namespace armvisor::devices {

struct IoOptions {
#define IO(member, name, normally, help) bool member = normally;
#include "devices/io_options.inc"
#undef IO
};

/// Applies a list of names, "no-" before those that are switched off.
Status parse_io_options(std::string_view list, IoOptions& options);

}  // namespace armvisor::devices
