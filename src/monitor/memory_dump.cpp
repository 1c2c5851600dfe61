#include "monitor/memory_dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace armvisor::monitor {
namespace {

constexpr u64 k_most_items = 1024;  // in one answer

struct Form {
  u64 count = 1;
  char format = 'x';
  u32 size = 4;  ///< of an item, in bytes
  u32 on_a_line() const { return std::min(16 / size, 8u); }
};

/// A letter after the count.
bool set_letter(Form& form, char letter) {
  constexpr std::string_view k_formats = "xduoc", k_sizes = "bhw?g";
  if (k_formats.find(letter) != std::string_view::npos) {
    form.format = letter;
    if (letter == 'c') form.size = 1;
    return true;
  }
  const std::size_t at = k_sizes.find(letter);
  if (at == std::string_view::npos || letter == '?') return false;
  form.size = at == 4 ? 8 : 1u << at;
  return true;
}

Result<Form> parse_form(std::string_view text) {
  Form form;
  const char* const end = text.data() + text.size();
  const auto [letters, error] = std::from_chars(text.data(), end, form.count);
  if (error == std::errc::result_out_of_range || form.count > k_most_items)
    return Error{ErrorKind::BadArguments, fmt::format("expected a count up to {}", k_most_items)};
  for (const char* at = letters; at < end; ++at)
    if (!set_letter(form, *at)) return Error{ErrorKind::BadArguments, fmt::format("invalid char in format: '{}'", *at)};
  return form;
}

std::optional<u64> parse_address(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  u64 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string character(u8 c) {
  switch (c) {
    case '\'': return "'\\''";
    case '\\': return "'\\\\'";
    case '\n': return "'\\n'";
    case '\r': return "'\\r'";
    default: return c >= 32 && c < 127 ? fmt::format("'{:c}'", c) : fmt::format("'\\x{:02x}'", c);
  }
}

std::string item(const Form& form, u64 value) {
  const u32 bits = form.size * 8;
  switch (form.format) {
    case 'c': return character(static_cast<u8>(value));
    case 'o': return fmt::format("{:#{}o}", value, (bits + 2) / 3);
    case 'u': return fmt::format("{:{}}", value, (bits * 10 + 32) / 33);
    case 'd': return fmt::format("{:{}}", static_cast<s64>(value), (bits * 10 + 32) / 33);
    default: return fmt::format("0x{:0{}x}", value, bits / 4);
  }
}

}  // namespace

std::string dump_memory(MachineControl& machine, std::optional<u32> cpu, const std::vector<std::string>& words) {
  const std::string name = cpu ? "x" : "xp", hint = "\nTry \"help " + name + "\" for more information\n";
  const bool has_form = !words.empty() && words[0].starts_with('/');
  const auto form = parse_form(has_form ? std::string_view(words[0]).substr(1) : "1");
  if (!form) return form.error().message + hint;
  if (words.size() != (has_form ? 2u : 1u)) return "unexpected end of expression" + hint;
  const auto address = parse_address(words.back());
  if (!address) return name + ": expected the number of an address, found '" + words.back() + "'" + hint;
  // All at once: vCPUs are stopped for it.
  std::vector<u8> memory(form->count * form->size);
  memory.resize(machine.read_memory(cpu, *address, memory));
  std::string text;
  for (u64 n = 0; n < form->count;) {
    const u64 items = std::min<u64>(form->count - n, form->on_a_line()), at = *address + n * form->size;
    text += cpu ? fmt::format("{:08x}:", at & 0xffff'ffff) : fmt::format("{:016x}:", at);
    if ((n + items) * form->size > memory.size()) return text + " Cannot access memory\n";
    const std::span<const u8> bytes = std::span(memory).subspan(n * form->size, items * form->size);
    for (u64 k = 0; k < items; ++k) {
      u64 value = 0;
      for (u32 b = form->size; b-- > 0;) value = value << 8 | bytes[k * form->size + b];
      text += ' ' + item(*form, value);
    }
    text += '\n';
    n += items;
  }
  return text;
}

}  // namespace armvisor::monitor
