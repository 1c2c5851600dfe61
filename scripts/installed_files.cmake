# What the program prints of itself, and where "cmake --install" puts everything. Manual pages and completions come from
# the same tables as --help.
include(GNUInstallDirs)
set(text_folder ${PROJECT_BINARY_DIR}/text)
set(texts "")
# printed(FILE DESTINATION ARGUMENT...): what the program prints with these arguments, as a file that is installed.
function(printed file destination)
  add_custom_command(OUTPUT ${text_folder}/${file}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${text_folder}
    COMMAND armvisor ${ARGN} > ${text_folder}/${file}
    DEPENDS armvisor VERBATIM)
  set(texts ${texts} ${text_folder}/${file} PARENT_SCOPE)
  get_filename_component(folder ${destination} DIRECTORY)
  get_filename_component(name ${destination} NAME)
  install(FILES ${text_folder}/${file} DESTINATION ${folder} RENAME ${name})
endfunction()

printed(armvisor.1 ${CMAKE_INSTALL_MANDIR}/man1/armvisor.1 help --man)
file(READ ${PROJECT_SOURCE_DIR}/src/cli/commands.inc commands)
string(REGEX MATCHALL "\nCOMMAND\\([a-z_]+, *\"[a-z]+\"" commands "${commands}")
set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/cli/commands.inc)
foreach(line IN LISTS commands)
  string(REGEX REPLACE ".*\"([a-z]+)\"" "\\1" command "${line}")
  printed(armvisor-${command}.1 ${CMAKE_INSTALL_MANDIR}/man1/armvisor-${command}.1 help ${command} --man)
endforeach()
printed(armvisor.bash ${CMAKE_INSTALL_DATADIR}/bash-completion/completions/armvisor completion bash)
set(ARMVISOR_ZSH_FUNCTIONS ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING "where zsh's completion goes")
printed(_armvisor ${ARMVISOR_ZSH_FUNCTIONS}/_armvisor completion zsh)
printed(armvisor.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d/armvisor.fish completion fish)
add_custom_target(manual ALL DEPENDS ${texts})

install(TARGETS armvisor RUNTIME)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples DESTINATION ${CMAKE_INSTALL_DOCDIR} USE_SOURCE_PERMISSIONS)
