#include "monitor/json_stream.h"

#include <cctype>
#include <utility>

namespace armvisor::monitor {
namespace {
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '+' || c == '.'; }
}  // namespace

std::size_t JsonStream::read(std::string_view bytes, Item& item, bool& found) {
  found = false;
  std::size_t at = 0;
  while (at < bytes.size() && !found) {
    // A word at the outermost level ends before what ends it.
    if (word_ && !is_word(bytes[at])) {
      finish(item, found);
      return at;
    }
    take(bytes[at++], item, found);
  }
  return at;
}

void JsonStream::take(char c, Item& item, bool& found) {
  if (skipping_) {
    skipping_ = c != '\n';
    return;
  }
  if (quote_)
    in_string(c, item, found);
  else
    between(c, item, found);
  if (text_.size() <= k_max_value || found) return;
  fail("JSON token size limit exceeded", item, found);
  skipping_ = c != '\n';
}

void JsonStream::in_string(char c, Item& item, bool& found) {
  if (escaped_) {
    escaped_ = false;
    if (c == '\'')
      text_ += '\'';  // JSON knows no such escape
    else
      (text_ += '\\') += c;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == quote_) {
    const bool outermost = brackets_ == std::string(1, std::exchange(quote_, 0));
    text_ += '"';
    if (outermost) finish(item, found);
  } else if (c == '"') {
    text_ += "\\\"";
  } else {
    text_ += c;
  }
}

void JsonStream::between(char c, Item& item, bool& found) {
  if (c == '"' || c == '\'') {
    quote_ = c;
    text_ += '"';
    if (!brackets_.empty()) return;
    brackets_ += c;  // a string at the outermost level ends as if it had brackets
    return;
  }
  if (c == '{' || c == '[') {
    text_ += c;
    brackets_ += c;
    if (brackets_.size() > k_max_depth) {
      fail("JSON nesting depth limit exceeded", item, found);
      skipping_ = true;
    }
    return;
  }
  if (brackets_.empty()) {
    if (is_space(c)) return;
    if (is_word(c)) {
      word_ = true;
      text_ += c;
      return;
    }
    return fail(c == '}' || c == ']' || c == ',' || c == ':'
                    ? "JSON parse error, expecting value"
                    : "JSON parse error, stray '" + std::string(c > ' ' && c < 0x7f ? 1 : 0, c) + "'",
                item, found);
  }
  text_ += c;
  if (c != '}' && c != ']') return;
  if (brackets_.back() != (c == '}' ? '{' : '[')) return fail("JSON parse error, expecting value", item, found);
  brackets_.pop_back();
  if (brackets_.empty()) finish(item, found);
}

void JsonStream::fail(std::string error, Item& item, bool& found) {
  reset();
  item = {{}, std::move(error)};
  found = true;
}

void JsonStream::finish(Item& item, bool& found) {
  item = {std::move(text_), {}};
  reset();
  found = true;
}

}  // namespace armvisor::monitor
