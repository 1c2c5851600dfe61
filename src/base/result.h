#pragma once
// Result<T>: a value or an Error whose message says what was expected, what was found and what to do.
#include <string>
#include <utility>
#include <variant>

namespace armvisor {

/// Which documented exit status an error ends the program with (docs/guide.md, "Exit statuses").
enum class ErrorKind { BadArguments, BadInput, HostResource, Internal };

struct Error {
  ErrorKind kind = ErrorKind::Internal;
  std::string message;
};

template <class T = std::monostate>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
  Result(Error e) : v_(std::in_place_index<1>, std::move(e)) {}
  Result()
    requires std::is_same_v<T, std::monostate>
      : v_(std::in_place_index<0>) {}

  explicit operator bool() const { return v_.index() == 0; }
  T& operator*() & { return *std::get_if<0>(&v_); }
  const T& operator*() const& { return *std::get_if<0>(&v_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&v_)); }
  T* operator->() { return std::get_if<0>(&v_); }
  const T* operator->() const { return std::get_if<0>(&v_); }
  const Error& error() const { return *std::get_if<1>(&v_); }
  Error&& take_error() { return std::move(*std::get_if<1>(&v_)); }

 private:
  std::variant<T, Error> v_;
};

using Status = Result<std::monostate>;

/// Returns the error of `expr` from the enclosing function, if it has one.
#define AV_TRY(expr)                                                           \
  do {                                                                         \
    if (auto av_result_ = (expr); !av_result_) return av_result_.take_error(); \
  } while (0)

#define AV_CONCAT_(a, b) a##b
#define AV_CONCAT(a, b) AV_CONCAT_(a, b)
/// Declares `var` from the value of `expr`, or returns the error of `expr`.
#define AV_TRY_ASSIGN(var, expr) AV_TRY_ASSIGN_(AV_CONCAT(av_tmp_, __LINE__), var, expr)
#define AV_TRY_ASSIGN_(tmp, var, expr) \
  auto tmp = (expr);                   \
  if (!tmp) return tmp.take_error();   \
  var = *std::move(tmp)

}  // namespace armvisor
