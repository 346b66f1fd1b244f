# todo_module(NAME SOURCES … USES …): one folder is one static library.
#
# A folder's headers are included as "folder/noun.h". Each module gets an include directory that
# holds a link to that one folder and nothing else, so a folder sees exactly the folders that it
# names in USES: an include against the direction of docs/design.md does not compile.
function(todo_module name)
  cmake_parse_arguments(M "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  set(root ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${root})
  if(NOT EXISTS ${root}/${name})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
  endif()
  add_library(${name} STATIC ${M_SOURCES})
  target_include_directories(${name} PUBLIC ${root})
  target_link_libraries(${name} PRIVATE todo_flags ${M_USES} ${M_LIBRARIES})
endfunction()
