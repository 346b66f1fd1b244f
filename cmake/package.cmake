# The programs as a Debian package: cmake --build BUILD --target package. (The protocol library has a
# component of its own, cmake/install.cmake, which is not in it.)
set(programs todo-mcp todo-notification todo-email todo-recurring)
install(TARGETS ${programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
foreach(program IN LISTS programs)
  install(FILES k8s/systemd/${program}.service DESTINATION lib/systemd/system COMPONENT programs)
endforeach()
install(FILES k8s/systemd/todo.env DESTINATION /etc/todo COMPONENT programs
  PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)
install(FILES README.md docs/settings.md docs/tools.md
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/todo-app COMPONENT programs)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME todo-app)
set(CPACK_PACKAGE_CONTACT "The todo-app developers <todo@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "task manager that AI agents drive over MCP")
set(CPACK_COMPONENTS_ALL programs)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The private PostgreSQL is a choice: with DATABASE_URL none is needed.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, tzdata, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS postgresql)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/k8s/debian/postinst
  ${CMAKE_SOURCE_DIR}/k8s/debian/prerm ${CMAKE_SOURCE_DIR}/k8s/debian/postrm
  ${CMAKE_SOURCE_DIR}/k8s/debian/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
