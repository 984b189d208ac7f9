use gatecert_testkit::{Envoy, StartError, https_client};

#[tokio::test]
async fn starts_and_ends() {
    let envoy = Envoy::start("static_resources: {}").await.unwrap();
    let url = format!("{}/server_info", envoy.admin());
    let client = https_client("", &[]).unwrap();
    let info = client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(info.contains("1.40.0"), "{info}");
    assert!(envoy.log().contains("all clusters initialized"), "{}", envoy.log());
    drop(envoy);
    client.get(&url).send().await.unwrap_err();
}

#[tokio::test]
async fn a_refused_configuration_shows_the_log() {
    let error = Envoy::start("static_resources: {listeners: 7}").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("envoy ended with"), "{text}");
    assert!(text.contains("listeners"), "{text}");
    let StartError::NotReady { log, .. } = error else { panic!("{text}") };
    std::fs::remove_dir_all(log.parent().unwrap()).unwrap();
}
