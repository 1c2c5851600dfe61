#include "devices/io_options.h"

#include <fmt/core.h>

#include <algorithm>

namespace armvisor::devices {
namespace {

struct Entry {
  const char* name;
  bool IoOptions::*member;
  const char* help;
};

constexpr Entry k_entries[] = {
#define IO(member, name, normally, help) {name, &IoOptions::member, help},
#include "devices/io_options.inc"
#undef IO
};
constexpr std::string_view k_no = "no-";

Status set_one(std::string_view word, IoOptions& options) {
  const bool on = !word.starts_with(k_no);
  const std::string_view name = on ? word : word.substr(k_no.size());
  std::string names;
  for (const Entry& e : k_entries) {
    if (name == e.name) {
      options.*e.member = on;
      return {};
    }
    names += fmt::format("\nno-{}  without: {}", e.name, e.help);
  }
  return Error{ErrorKind::BadArguments,
               fmt::format("--io: expected names of this list, found '{}'; change it{}", word, names)};
}

}  // namespace

Status parse_io_options(std::string_view list, IoOptions& options) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    AV_TRY(set_one(list.substr(0, comma), options));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return {};
}

}  // namespace armvisor::devices
