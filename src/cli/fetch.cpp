// armvisor fetch: what systems lack, from Debian's archive.
#include <cstdio>

#include "cli/option_parser.h"
#include "exec/fetch_kernel.h"

namespace armvisor::cli {
namespace {

struct FetchArguments {
#define OPTION_TABLE "cli/fetch_options.inc"
#include "cli/option_members.inc"
#undef OPTION_TABLE
};

Result<ExitStatus> fetch_what_is_named(const Arguments& arguments) {
  FetchArguments o;
  const auto bind = [&o](OptionBinder& to) {
#define OPTION_TABLE "cli/fetch_options.inc"
#include "cli/option_bindings.inc"
#undef OPTION_TABLE
  };
  AV_TRY(parse_options("fetch", arguments, o.help, bind));
  if (o.help) return help({"fetch"});
  if (o.what != "kernel")
    return Error{ErrorKind::BadArguments, "fetch: expected 'kernel', found '" + o.what + "'; change it"};
  exec::FetchOptions options;
  options.release = o.release.value_or(options.release);
  options.flavour = o.flavour.value_or(options.flavour);
  options.mirror = o.mirror.value_or("");
  options.keyring = o.keyring.value_or("");
  AV_TRY_ASSIGN(const std::string version, exec::fetch_kernel(options));
  std::printf("%s\n", version.c_str());
  return ExitStatus::PoweredOff;
}

}  // namespace

ExitStatus fetch(const Arguments& arguments) {
  const auto result = fetch_what_is_named(arguments);
  return result ? *result : report(result.error());
}

}  // namespace armvisor::cli
