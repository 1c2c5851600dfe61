#include "devices/backends/image_format.h"

#include <algorithm>
#include <cstring>

namespace armvisor::devices {
namespace {

struct Entry {
  std::string_view name, ending;
  std::size_t offset;
  std::string_view magic;
};
constexpr Entry k_entries[] = {
#define FORMAT(name, ending, offset, magic) {name, ending, offset, std::string_view(magic, sizeof(magic) - 1)},
#include "devices/backends/image_format.inc"
#undef FORMAT
};
constexpr std::string_view k_raw = "raw";

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return text.size() > end.size() && std::ranges::equal(text.substr(text.size() - end.size()), end, {}, lower);
}

}  // namespace

bool is_image_format(std::string_view name) {
  return name == k_raw || std::ranges::any_of(k_entries, [name](const Entry& e) { return e.name == name; });
}

std::string image_format_names() {
  std::string names(k_raw);
  std::string_view last;
  for (const Entry& e : k_entries) {
    if (e.name != last) names += ", " + std::string(e.name);
    last = e.name;
  }
  return names;
}

std::string_view format_of_name(std::string_view path) {
  for (const Entry& e : k_entries)
    if (!e.ending.empty() && ends_with_ignoring_case(path, e.ending)) return e.name;
  return k_raw;
}

std::string_view format_of_content(std::span<const u8> head) {
  for (const Entry& e : k_entries)
    if (head.size() >= e.offset + e.magic.size() &&
        std::memcmp(head.data() + e.offset, e.magic.data(), e.magic.size()) == 0)
      return e.name;
  return k_raw;
}

}  // namespace armvisor::devices
