#pragma once
// Which image of a folder or an archive of images is for this machine, and what it says of itself: OCI image layouts
// (OCI image specification 1.0: image-layout.md, image-index.md, manifest.md, config.md) and what `docker save` writes.
// All that is named by a digest has to have it.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exec/blobs.h"

namespace armvisor::exec {

/// What a command in an image has unless somebody says otherwise.
struct ImageConfig {
  std::vector<std::string> variables, entrypoint, command;
  std::string user, folder;
  std::string text() const;  ///< JSON
};
/// Of text().
Result<ImageConfig> parse_image_config(std::string_view text, const std::string& path);

struct ImageLayer {
  std::string name;                   ///< of a blob
  std::optional<std::string> digest;  ///< nothing: nobody says
};
struct Image {
  std::optional<std::string> digest;  ///< of its manifest; nothing: docker's have none
  std::vector<ImageLayer> layers;     ///< the lowest first
  ImageConfig config;
};

/// Whether a name is one that only archives of images have at their top.
bool is_name_of_image_file(std::string_view path);

/// The image for linux/arm, v7 rather than v6 and v5. `tag`: one of that name; empty: any, if there is only one.
Result<Image> choose_image(const Blobs& blobs, const std::string& tag);

}  // namespace armvisor::exec
