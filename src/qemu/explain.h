#pragma once
// What became of a command line, as JSON for programs and as text for people.
#include <string>

#include "qemu/machine.h"

namespace armvisor::qemu {

/// {"outcome": "runs" or "refused", "options": [{"option", "fate", "became", "why"}...], "machine": {...}}
std::string explain(const Line& line, const Machine& machine);

/// The help that a line asks for.
std::string help_text(const std::string& about);
/// As QEMU's, whose behaviour is followed; harnesses parse the first line.
std::string version_text(const std::string& version);
/// What monitors tell, of this program's `version`.
monitor::VersionInfo version_info(const std::string& version);

}  // namespace armvisor::qemu
