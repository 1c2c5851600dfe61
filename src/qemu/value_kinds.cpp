#include "qemu/value_kinds.h"

#include <algorithm>

#include "qemu/ids.h"
#include "qemu/words.h"

namespace armvisor::qemu {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end; (end = text.find(separator)) != std::string_view::npos; text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

bool is_uuid(std::string_view text) {
  constexpr std::string_view k_form = "01234567-0123-0123-0123-0123456789ab";
  if (text.size() != k_form.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (k_form[i] == '-' ? text[i] != '-' : !is_hex(text[i])) return false;
  return true;
}

/// As strtoll takes it in base 0: decimal, 0x or octal, perhaps negative.
bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return parse_unsigned(text).has_value();
}

/// "cdn": drives a to p in the order of booting, each once.
bool is_order(std::string_view text) {
  return std::ranges::all_of(text, [&](char c) { return c >= 'a' && c <= 'p' && std::ranges::count(text, c) == 1; });
}

struct Kind {
  std::string_view name;
  bool (*is)(std::string_view);
  const char* text;
};
constexpr Kind k_kinds[] = {
    {"text", [](std::string_view) { return true; }, "any text"},
    {"bool", [](std::string_view text) { return parse_bool(text).has_value(); }, "on or off"},
    {"number", is_number, "a number"},
    {"size", [](std::string_view text) { return parse_size(text, 0).has_value(); }, "a size such as 4096, 64k or 1M"},
    {"uuid", is_uuid, "a UUID, as 01234567-89ab-cdef-0123-456789abcdef"},
    {"id", is_id, "a name of letters, digits, '-', '.' and '_' that begins with a letter"},
    {"order", is_order, "letters of drives from a to p, each once"},
};

const Kind* find_kind(std::string_view name) {
  const auto kind = std::ranges::find(k_kinds, name, &Kind::name);
  return kind == std::end(k_kinds) ? nullptr : &*kind;
}

}  // namespace

bool is_value(std::string_view kind, std::string_view value) {
  if (const Kind* known = find_kind(kind)) return known->is(value);
  const auto words = split(kind, '|');
  return std::ranges::find(words, value) != words.end();
}

std::string values_text(std::string_view kind) {
  if (const Kind* known = find_kind(kind)) return known->text;
  const auto words = split(kind, '|');
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + std::string(words[i]);
  return text;
}

ListShape ListShape::parse(std::string_view text) {
  ListShape shape;
  if (text.starts_with('=')) {
    shape.whole = text.substr(1);
    return shape;
  }
  if (text.empty()) return shape;
  for (const std::string_view part : split(text, ',')) {
    if (part == "...") {
      shape.others = true;
      continue;
    }
    const std::size_t equals = part.find('=');
    std::string_view name = part.substr(0, equals);
    if (name.starts_with('[')) shape.implied = name = name.substr(1, name.size() - 2);
    shape.keys.push_back({name, part.substr(equals + 1)});
  }
  return shape;
}

}  // namespace armvisor::qemu
