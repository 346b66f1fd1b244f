# The protocol library by itself, for other programs: cmake --install BUILD --component mcp-server
# (-DTODO_LIBRARY_ONLY=ON builds nothing else)
#   lib/libmcp-server.a   mcp/, what it uses of base/, and llhttp where that is no system library
#   include/mcp-server/   the public headers, included as "mcp/server.h"
#   lib/pkgconfig/mcp-server.pc, lib/cmake/mcp-server/: target mcp-server::mcp-server
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(objects $<TARGET_OBJECTS:mcp> $<TARGET_OBJECTS:base>)
set(MCP_SERVER_REQUIRES libuv libcjson libcrypto libcurl cjose)
if(LLHTTP_FOUND)
  list(APPEND MCP_SERVER_REQUIRES libllhttp)
else()
  list(APPEND objects $<TARGET_OBJECTS:llhttp>)
endif()
add_library(mcp-server STATIC ${objects})
set_target_properties(mcp-server PROPERTIES LINKER_LANGUAGE C)
target_include_directories(mcp-server INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/mcp-server>)
target_link_libraries(mcp-server INTERFACE
  $<INSTALL_INTERFACE:PkgConfig::MCP_SERVER_REQUIRES> m)

set(public_headers
  mcp/auth.h mcp/call.h mcp/content.h mcp/error.h mcp/http.h mcp/peer.h mcp/prompt.h mcp/resource.h
  mcp/schema.h mcp/serve.h mcp/server.h mcp/stdio.h mcp/tool.h
  base/arena.h base/buf.h base/error.h base/http_client.h base/http_server.h base/json.h
  base/log.h base/slice.h base/trace.h)
foreach(header IN LISTS public_headers)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mcp-server/${folder}
    COMPONENT mcp-server)
endforeach()

list(JOIN MCP_SERVER_REQUIRES " " MCP_SERVER_REQUIRES)
set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mcp-server)
file(RELATIVE_PATH PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/mcp-server.pc.in mcp-server.pc @ONLY)
configure_file(cmake/mcp-server-config.cmake.in mcp-server-config.cmake @ONLY)
write_basic_package_version_file(mcp-server-config-version.cmake COMPATIBILITY SameMinorVersion)
install(TARGETS mcp-server EXPORT mcp-server-targets ARCHIVE COMPONENT mcp-server)
install(EXPORT mcp-server-targets NAMESPACE mcp-server:: DESTINATION ${cmake_dir}
  COMPONENT mcp-server)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mcp-server.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT mcp-server)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mcp-server-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/mcp-server-config-version.cmake
  DESTINATION ${cmake_dir} COMPONENT mcp-server)
