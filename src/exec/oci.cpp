#include "exec/oci.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace armvisor::exec {
namespace {

using Json = nlohmann::json;

constexpr int k_deepest_json = 64, k_deepest_index = 4;
constexpr std::size_t k_most_manifests = 1024, k_most_layers = 1024, k_most_words = 4096, k_most_told = 8;
constexpr std::string_view k_digest = "sha256:";
/// Annotations of an image's descriptor: the tag, and the whole name, where Docker and containerd wrote it.
constexpr const char *k_tag = "org.opencontainers.image.ref.name", *k_name = "io.containerd.image.name";

Error bad(const std::string& path, const std::string& message) {
  return {ErrorKind::BadInput, path + ": " + message + "; get the image again"};
}

Result<Json> parse(std::span<const u8> bytes, const std::string& path) {
  bool deep = false;
  const auto watch = [&deep](int depth, Json::parse_event_t, Json&) {
    deep = deep || depth > k_deepest_json;
    return !deep;
  };
  Json json = Json::parse(bytes.begin(), bytes.end(), watch, false);
  if (deep || json.is_discarded()) return bad(path, "expected JSON, found something else");
  return json;
}

const Json& member(const Json& json, const char* name) {
  static const Json nothing;
  if (!json.is_object()) return nothing;
  const auto found = json.find(name);
  return found == json.end() ? nothing : *found;
}

std::string text(const Json& json) { return json.is_string() ? json.get<std::string>() : std::string(); }

/// Words that a command can have, where there are some.
Result<std::vector<std::string>> words(const Json& json, const std::string& path) {
  std::vector<std::string> list;
  if (json.is_null()) return list;
  if (!json.is_array() || json.size() > k_most_words)
    return bad(path, "expected a list of words, found something else");
  for (const Json& word : json) {
    list.push_back(text(word));
    if (!word.is_string() || list.back().find('\0') != std::string::npos)
      return bad(path, "expected words in a list, found something else");
  }
  return list;
}

/// From the root, without "..", which would be looked up by what links lead to; empty as it is.
std::string normal_folder(const std::string& folder) {
  if (folder.empty()) return folder;
  std::string normal = std::filesystem::path("/" + folder).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

Result<ImageConfig> parse_settings(const Json& json, const std::string& path) {
  ImageConfig config;
  AV_TRY_ASSIGN(config.variables, words(member(json, "Env"), path));
  AV_TRY_ASSIGN(config.entrypoint, words(member(json, "Entrypoint"), path));
  AV_TRY_ASSIGN(config.command, words(member(json, "Cmd"), path));
  config.user = text(member(json, "User"));
  config.folder = normal_folder(text(member(json, "WorkingDir")));
  for (const std::string* word : {&config.user, &config.folder})
    if (word->find('\0') != word->npos || word->size() >= 4096)
      return bad(path, "expected a name, found something else");
  return config;
}

struct Platform {
  std::string os, architecture, variant;
  std::string text() const { return os + "/" + architecture + (variant.empty() ? "" : "/" + variant); }
  /// How well it is for this machine; 0: not at all.
  int rank() const {
    if (os != "linux" || architecture != "arm") return 0;
    if (variant == "v7") return 4;
    if (variant.empty()) return 3;
    return variant == "v6" ? 2 : variant == "v5" ? 1 : 0;
  }
};
Platform platform_of(const Json& json) {
  return {text(member(json, "os")), text(member(json, "architecture")), text(member(json, "variant"))};
}

/// blobs/sha256/DIGITS of "sha256:DIGITS".
Result<std::string> blob_name(const std::string& digest, const std::string& path) {
  const std::string digits = digest.substr(std::min(digest.size(), k_digest.size()));
  if (!digest.starts_with(k_digest) || digits.size() != 64 ||
      digits.find_first_not_of("0123456789abcdef") != digits.npos)
    return bad(path, "expected a digest sha256:..., found '" + digest.substr(0, 100) + "'");
  return "blobs/sha256/" + digits;
}

/// Whether "docker.io/library/debian:12" is what the user calls "debian:12".
bool is_tag(const std::string& whole, const std::string& tag) { return whole == tag || whole.ends_with("/" + tag); }

struct Candidate {
  std::string digest, tag;
  Platform platform;
  Json descriptor;
};

class Layout {
 public:
  Layout(const Blobs& blobs, std::string tag) : blobs_(blobs), tag_(std::move(tag)) {}

  Result<Image> choose() {
    AV_TRY_ASSIGN(const std::vector<u8> bytes, blobs_.read("index.json"));
    AV_TRY_ASSIGN(const Json index, parse(bytes, blobs_.path() + "/index.json"));
    AV_TRY(add_index(index, 0, ""));
    AV_TRY_ASSIGN(const Candidate best, this->best());
    return image(best.descriptor);
  }

 private:
  /// What a descriptor names, which has its digest and, if it says one, its size.
  Result<Json> read(const Json& descriptor) const {
    const std::string digest = text(member(descriptor, "digest"));
    AV_TRY_ASSIGN(const std::string name, blob_name(digest, blobs_.path()));
    AV_TRY_ASSIGN(const std::vector<u8> bytes, blobs_.read(name));
    if (k_digest.data() + digest_of(bytes) != digest)
      return bad(blobs_.path() + "/" + name, "expected the content that its name says, found another");
    if (const Json& size = member(descriptor, "size"); !size.is_null() && size != bytes.size())
      return bad(blobs_.path() + "/" + name, fmt::format("expected {} bytes, as its descriptor says, found {}",
                                                         size.dump().substr(0, 30), bytes.size()));
    return parse(bytes, blobs_.path() + "/" + name);
  }

  Status add_index(const Json& index, int depth, const std::string& tag) {
    const Json& list = member(index, "manifests");
    if (!list.is_array() || depth > k_deepest_index)
      return bad(blobs_.path(), "expected a list of manifests, found none");
    for (const Json& descriptor : list) {
      if (++seen_ > k_most_manifests)
        return bad(blobs_.path(), fmt::format("expected at most {} images, found more", k_most_manifests));
      const Json& annotations = member(descriptor, "annotations");
      const std::string own = text(member(annotations, k_tag)), name = text(member(annotations, k_name));
      if (depth == 0 && !tag_.empty() && own != tag_ && !is_tag(name, tag_)) {
        for (const std::string& other : {own, name})
          if (!other.empty()) tags_.insert(other);
        continue;
      }
      AV_TRY(add(descriptor, depth, depth == 0 ? own : tag));
    }
    return {};
  }

  Status add(const Json& descriptor, int depth, const std::string& tag) {
    const std::string digest = text(member(descriptor, "digest"));
    const std::string type = text(member(descriptor, "mediaType"));
    if (type.ends_with("image.index.v1+json") || type.ends_with("manifest.list.v2+json")) {
      AV_TRY_ASSIGN(const Json index, read(descriptor));
      return add_index(index, depth + 1, tag);
    }
    if (!type.ends_with("manifest.v1+json") && !type.ends_with("manifest.v2+json")) return {};
    Candidate candidate{digest, tag, platform_of(member(descriptor, "platform")), descriptor};
    if (candidate.platform.architecture.empty()) {
      AV_TRY_ASSIGN(const Json manifest, read(descriptor));
      AV_TRY_ASSIGN(const Json config, read(member(manifest, "config")));
      candidate.platform = platform_of(config);
    }
    candidates_.push_back(std::move(candidate));
    return {};
  }

  Result<Candidate> best() const {
    const auto better = [](const Candidate& a, const Candidate& b) { return a.platform.rank() < b.platform.rank(); };
    const auto found = std::ranges::max_element(candidates_, better);
    if (found == candidates_.end() || found->platform.rank() == 0) return none();
    for (const Candidate& other : candidates_)
      if (other.platform.rank() == found->platform.rank() && other.digest != found->digest)
        return Error{ErrorKind::BadArguments,
                     fmt::format("{}: expected one image for linux/arm, found several, of them "
                                 "'{}' and '{}'; name one as oci:{}:TAG",
                                 blobs_.path(), found->tag, other.tag, blobs_.path())};
    return *found;
  }

  Error none() const {
    std::string there;
    std::size_t told = 0;
    for (const Candidate& c : candidates_)
      if (told++ < k_most_told) there += (there.empty() ? "" : ", ") + c.platform.text();
    for (const std::string& tag : tags_)
      if (told++ < k_most_told) there += (there.empty() ? "tag " : ", tag ") + tag;
    return {ErrorKind::BadInput,
            fmt::format("{}: expected an image for linux/arm (v7, v6 or v5){}, found {}; copy one with 'skopeo "
                        "--override-os linux --override-arch arm --override-variant v7 copy'",
                        blobs_.path(), tag_.empty() ? "" : " with the tag " + tag_, there.empty() ? "none" : there)};
  }

  Result<Image> image(const Json& descriptor) const {
    const std::string digest = text(member(descriptor, "digest"));
    AV_TRY_ASSIGN(const Json manifest, read(descriptor));
    AV_TRY_ASSIGN(const Json config, read(member(manifest, "config")));
    if (const Platform p = platform_of(config); !p.architecture.empty() && p.architecture != "arm")
      return bad(blobs_.path(), "expected an image for linux/arm, as its index says, found one for " + p.text());
    Image image{.digest = digest.substr(k_digest.size()), .layers = {}, .config = {}};
    AV_TRY_ASSIGN(image.config, parse_settings(member(config, "config"), blobs_.path()));
    const Json& layers = member(manifest, "layers");
    if (!layers.is_array() || layers.size() > k_most_layers)
      return bad(blobs_.path(),
                 fmt::format("expected a list of at most {} layers, found something else", k_most_layers));
    for (const Json& layer : layers) {
      const std::string own = text(member(layer, "digest"));
      AV_TRY_ASSIGN(std::string name, blob_name(own, blobs_.path()));
      image.layers.push_back({std::move(name), own.substr(k_digest.size())});
    }
    return image;
  }

  const Blobs& blobs_;
  const std::string tag_;
  std::vector<Candidate> candidates_;
  std::set<std::string> tags_;  ///< others
  std::size_t seen_ = 0;
};

/// "DIGITS.json" or "blobs/sha256/DIGITS", as `docker save` calls a configuration.
std::optional<std::string> digest_in_name(const std::string& name) {
  std::string digits = name.substr(name.rfind('/') + 1);
  if (digits.ends_with(".json")) digits.resize(digits.size() - 5);
  const bool is_one = digits.size() == 64 && digits.find_first_not_of("0123456789abcdef") == digits.npos;
  return is_one ? std::optional(digits) : std::nullopt;
}

/// As `docker save` wrote it before it wrote layouts: a list of images, each with files of its own.
Result<Image> choose_of_docker(const Blobs& blobs, const std::string& tag) {
  AV_TRY_ASSIGN(const std::vector<u8> bytes, blobs.read("manifest.json"));
  AV_TRY_ASSIGN(const Json list, parse(bytes, blobs.path() + ": manifest.json"));
  if (!list.is_array()) return bad(blobs.path(), "expected a list in manifest.json, found something else");
  std::string found;
  const Json* chosen = nullptr;
  for (const Json& entry : list) {
    AV_TRY_ASSIGN(const auto tags, words(member(entry, "RepoTags"), blobs.path()));
    if (!tag.empty() && std::ranges::none_of(tags, [&](const std::string& t) { return is_tag(t, tag); })) continue;
    if (chosen)
      return Error{ErrorKind::BadArguments, blobs.path() +
                                                ": expected one image, found several; name one as "
                                                "docker-archive:" +
                                                blobs.path() + ":NAME:TAG"};
    chosen = &entry;
  }
  if (!chosen)
    return Error{ErrorKind::BadArguments, blobs.path() + ": expected an image" +
                                              (tag.empty() ? "" : " with the tag " + tag) + ", found none; check it"};
  const std::string name = text(member(*chosen, "Config"));
  AV_TRY_ASSIGN(const std::vector<u8> config_bytes, blobs.read(name));
  if (const auto digest = digest_in_name(name); digest && *digest != digest_of(config_bytes))
    return bad(blobs.path() + ": " + name, "expected the content that its name says, found another");
  AV_TRY_ASSIGN(const Json config, parse(config_bytes, blobs.path() + ": " + name));
  if (const Platform p = platform_of(config); p.rank() == 0)
    return Error{ErrorKind::BadInput, blobs.path() + ": expected an image for linux/arm (v7, v6 or v5), found " +
                                          p.text() + "; save one that was pulled with --platform linux/arm/v7"};
  Image image;
  AV_TRY_ASSIGN(image.config, parse_settings(member(config, "config"), blobs.path()));
  AV_TRY_ASSIGN(const auto layers, words(member(*chosen, "Layers"), blobs.path()));
  if (layers.size() > k_most_layers)
    return bad(blobs.path(), fmt::format("expected at most {} layers, found more", k_most_layers));
  for (const std::string& layer : layers) image.layers.push_back({layer, std::nullopt});
  return image;
}

}  // namespace

std::string ImageConfig::text() const {
  const Json json = {
      {"Env", variables}, {"Entrypoint", entrypoint}, {"Cmd", command}, {"User", user}, {"WorkingDir", folder}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ImageConfig> parse_image_config(std::string_view text, const std::string& path) {
  AV_TRY_ASSIGN(const Json json, parse({reinterpret_cast<const u8*>(text.data()), text.size()}, path));
  return parse_settings(json, path);
}

bool is_name_of_image_file(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  const std::string_view top = path.substr(0, path.find('/'));
  constexpr std::string_view k_names[] = {"blobs", "index.json", "oci-layout", "manifest.json", "repositories"};
  if (std::ranges::find(k_names, top) != std::end(k_names)) return true;
  // A layer or a configuration by its digest: of 64 digits.
  const std::string_view digits = top.substr(0, top.find('.'));
  const std::string_view rest = top.substr(digits.size());
  return digits.size() == 64 && digits.find_first_not_of("0123456789abcdef") == digits.npos &&
         (rest.empty() || rest == ".json" || rest == ".tar");
}

Result<Image> choose_image(const Blobs& blobs, const std::string& tag) {
  if (blobs.has("index.json")) return Layout(blobs, tag).choose();
  if (blobs.has("manifest.json")) return choose_of_docker(blobs, tag);
  return Error{ErrorKind::BadInput,
               blobs.path() + ": expected an image with index.json or manifest.json, found neither; check it"};
}

}  // namespace armvisor::exec
