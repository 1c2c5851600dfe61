#include "devices/ninep/share_options.h"

#include <fmt/core.h>

namespace armvisor::devices::ninep {

Status check_tag(std::string_view tag) {
  if (!tag.empty() && tag.size() <= k_longest_tag) return {};
  return Error{ErrorKind::BadArguments,
               fmt::format("expected a tag of 1 to {} characters, found '{}'; change it", k_longest_tag, tag)};
}

Result<ShareOptions> parse_share_option(std::string_view text) {
  ShareOptions share;
  const std::string_view whole = text;
  if (text.ends_with(",ro")) {
    share.read_only = true;
    text.remove_suffix(3);
  }
  const std::size_t colon = text.rfind(':');
  share.path = std::string(text.substr(0, colon));
  share.tag = colon == std::string_view::npos ? "share" : std::string(text.substr(colon + 1));
  if (share.path.empty() || share.path.find(',') != std::string::npos)
    return Error{ErrorKind::BadArguments,
                 fmt::format("expected FOLDER[:TAG][,ro], found '{}'; name a folder whose path has no comma", whole)};
  AV_TRY(check_tag(share.tag));
  return share;
}

std::string_view name(SecurityModel model) {
  switch (model) {
    case SecurityModel::None: return "none";
    case SecurityModel::Passthrough: return "passthrough";
    case SecurityModel::MappedXattr: return "mapped-xattr";
    case SecurityModel::MappedFile: return "mapped-file";
  }
  return "";
}

}  // namespace armvisor::devices::ninep
